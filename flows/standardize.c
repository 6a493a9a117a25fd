/* A flow that takes data as they are: a standardizer in front, and one for the context, by given numbers. */
#include "flow_impl.h"

leat_code leat_flow_set_units(leat_flow *f, const leat_units *units, const leat_units *context)
{
    leat_model *m = f ? f->module.model : NULL;
    if (!f)
        return LEAT_ESTATE; /* the model has failed already */
    if (f->input)
        return leat_model_fail(m, LEAT_ESTATE, "the flow has a standardizer already");
    f->input = leat_standardizer_of(m, units);
    if (f->input)
        ((leat_standardizer_parts *)f->input)->input = true;
    leat_chain_standardize(f->chain, f->input);
    if (f->context) {
        f->context_input = leat_standardizer_of(m, context);
        if (f->context_input)
            ((leat_standardizer_parts *)f->context_input)->input = true;
        leat_attach(&f->module, f->context_input ? &f->context_input->module : NULL, "context");
    }
    return leat_model_code(m);
}

leat_code leat_flow_standardize_by(leat_flow *f, const double *mean, const double *sd, const double *context_mean,
                                   const double *context_sd)
{
    leat_units units = { .columns = f ? leat_flow_dim(f) : 0, .mean = mean, .sd = sd };
    leat_units context = { .columns = f ? f->context : 0, .mean = context_mean, .sd = context_sd };
    return leat_flow_set_units(f, &units, &context);
}
