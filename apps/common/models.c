/* The flows that programs train: the library's, with the options that were given. */
#include "models.h"

#include <string.h>

static void set_hidden(int64_t hidden[LEAT_MAX_HIDDEN], const app_sizes *sizes)
{
    if (sizes->count == 0)
        return;
    memset(hidden, 0, LEAT_MAX_HIDDEN * sizeof *hidden);
    memcpy(hidden, sizes->size, (size_t)sizes->count * sizeof *hidden);
}

static leat_flow *build_nice(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    enum { NOTEBOOK, PAPER };
    leat_nice_opts nice = o->preset == PAPER ? leat_nice_paper(m, dim)
                                             : (leat_nice_opts){ .dim = dim, .couplings = 6, .hidden = { 128, 128 } };
    nice.context = context;
    if (o->couplings)
        nice.couplings = (int)o->couplings;
    set_hidden(nice.hidden, &o->hidden);
    return leat_nice_new(m, &nice);
}

static leat_flow *build_realnvp(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    static const leat_scale_map maps[] = { LEAT_SCALE_TANH, LEAT_SCALE_LEARNED, LEAT_SCALE_FREE };
    leat_realnvp_opts realnvp = { .dim = dim,
                                  .context = context,
                                  .couplings = (int)o->couplings,
                                  .scale = maps[o->scale_map],
                                  .one_net = o->one_net };
    set_hidden(realnvp.hidden, &o->hidden);
    return leat_realnvp_new(m, &realnvp);
}

leat_flow *app_model_build(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    return (o->kind == APP_REALNVP ? build_realnvp : build_nice)(m, dim, context, o);
}
