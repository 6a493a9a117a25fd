// The headers are C++ too, and what they declare links.
#include <leat/leat.h>

#include <cstdio>

int main()
{
    leat_model *model = leat_model_new(nullptr);
    leat_nice_opts options = leat_nice_paper(model, 2);
    options.couplings = 2;
    options.hidden[0] = 8;
    options.hidden[1] = 0;
    leat_flow *flow = leat_nice_new(model, &options);
    bool ok = leat_flow_length(flow) > 0 && leat_model_code(model) == LEAT_OK && leat_additive.forward != nullptr;
    std::puts(ok ? "c++: ok" : leat_model_errmsg(model));
    leat_model_free(model);
    return ok ? 0 : 1;
}
