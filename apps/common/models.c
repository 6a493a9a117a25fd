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

leat_nice_opts app_nice_opts(leat_model *m, int64_t dim, const app_model_settings *o)
{
    enum { NOTEBOOK, PAPER };
    leat_nice_opts nice = o->preset == PAPER ? leat_nice_paper(m, dim)
                                             : (leat_nice_opts){ .dim = dim, .couplings = 6, .hidden = { 128, 128 } };
    if (o->couplings)
        nice.couplings = (int)o->couplings;
    set_hidden(nice.hidden, &o->hidden);
    return nice;
}

static leat_flow *build_nice(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    leat_nice_opts nice = app_nice_opts(m, dim, o);
    nice.context = context;
    if (o->base)
        nice.base = app_base_build(m, dim, context, o->base);
    return leat_nice_new(m, &nice);
}

static leat_flow *build_realnvp(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    static const leat_scale_map maps[] = { LEAT_SCALE_TANH, LEAT_SCALE_LEARNED, LEAT_SCALE_FREE };
    leat_realnvp_opts realnvp = { .dim = dim,
                                  .context = context,
                                  .base = app_base_build(m, dim, context, o->base),
                                  .couplings = (int)o->couplings,
                                  .scale = maps[o->scale_map],
                                  .one_net = o->one_net,
                                  .mixed = o->kind == APP_GLOW };
    set_hidden(realnvp.hidden, &o->hidden);
    return leat_realnvp_new(m, &realnvp);
}

/* A learned map mixes columns that correlate; two have nothing to mix that turning round does not. */
static leat_between between_of(const app_model_settings *o, int64_t dim)
{
    enum { AUTO };
    return o->between != AUTO ? (leat_between)(o->between - 1) : dim > 2 ? LEAT_LU : LEAT_REVERSED;
}

static leat_flow *build_maf(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    leat_maf_opts maf = { .dim = dim,
                          .context = context,
                          .base = app_base_build(m, dim, context, o->base),
                          .transforms = (int)o->transforms,
                          .between = between_of(o, dim) };
    set_hidden(maf.hidden, &o->hidden);
    return leat_maf_new(m, &maf);
}

static leat_flow *build_nsf(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    leat_nsf_opts nsf = { .dim = dim,
                          .context = context,
                          .base = app_base_build(m, dim, context, o->base),
                          .transforms = (int)o->transforms,
                          .between = between_of(o, dim),
                          .bins = o->bins,
                          .tail_bound = o->tail_bound,
                          .coupling = o->kind == APP_NSF_COUPLING };
    set_hidden(nsf.hidden, &o->hidden);
    return leat_nsf_new(m, &nsf);
}

/* So many residual blocks as there are hidden widths, which are one. */
static leat_flow *build_flowpp(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    for (int i = 1; i < o->hidden.count; i++) {
        if (o->hidden.size[i] != o->hidden.size[0])
            leat_model_fail(m, LEAT_EARG, "flowpp has residual blocks, and so hidden layers of one width");
    }
    return leat_flowpp_table_new(m, &(leat_flowpp_table_opts){ .dim = dim,
                                                               .context = context,
                                                               .base = app_base_build(m, dim, context, o->base),
                                                               .couplings = (int)o->couplings,
                                                               .hidden = o->hidden.count ? o->hidden.size[0] : 0,
                                                               .blocks = (int)o->hidden.count,
                                                               .components = o->components });
}

int app_model_kind(const app_model_settings *o, int64_t dim)
{
    enum { MOST_FOR_SPLINES = 100 };
    bool couplings = o->couplings || o->one_net || o->scale_map;
    if (o->kind != APP_AUTO)
        return o->kind;
    return dim == 1 || (dim <= MOST_FOR_SPLINES && !couplings) ? APP_NSF : APP_REALNVP;
}

bool app_model_is_coupling(int kind)
{
    return kind == APP_NICE || kind == APP_REALNVP || kind == APP_NSF_COUPLING || kind == APP_FLOWPP ||
           kind == APP_GLOW;
}

leat_flow *app_model_build(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o)
{
    static leat_flow *(*const builders[])(leat_model *, int64_t, int64_t, const app_model_settings *) = {
        [APP_NICE] = build_nice,    [APP_REALNVP] = build_realnvp,  [APP_MAF] = build_maf,
        [APP_NSF] = build_nsf,      [APP_NSF_COUPLING] = build_nsf, [APP_FLOWPP] = build_flowpp,
        [APP_GLOW] = build_realnvp,
    };
    return builders[app_model_kind(o, dim)](m, dim, context, o);
}
