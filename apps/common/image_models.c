/* The flows of images that programs train: the library's, with the options that were given. */
#include "train_run.h"

#include <stdio.h>

typedef struct wish {
    const app_model_settings *model;
    const app_image_settings *image;
    leat_shape row; /* height, width, channels */
    int classes;    /* 0: not by class */
} wish;

static leat_flow *build_nice(leat_model *m, const wish *a)
{
    leat_nice_opts nice = app_nice_opts(m, leat_shape_count(&a->row), a->model);
    nice.image = a->row;
    nice.bits = (int)a->image->bits;
    nice.context = a->classes;
    if (a->classes)
        nice.base = leat_class_normal(m, nice.dim, a->classes);
    return leat_nice_new(m, &nice);
}

static leat_flow *build_realnvp(leat_model *m, const wish *a)
{
    return leat_realnvp_image_new(
        m, &(leat_realnvp_image_opts){ .height = a->row.size[0],
                                       .width = a->row.size[1],
                                       .channels = a->row.size[2],
                                       .levels = (int)a->image->levels,
                                       .blocks = (int)a->image->blocks,
                                       .hidden = a->image->width,
                                       .bits = (int)a->image->bits,
                                       .context = a->classes,
                                       .base = a->classes ? leat_class_normal(m, leat_shape_count(&a->row), a->classes)
                                                          : NULL,
                                       .actnorm = a->image->actnorm });
}

static leat_flow *build_glow(leat_model *m, const wish *a)
{
    return leat_glow_new(m, &(leat_glow_opts){ .height = a->row.size[0],
                                               .width = a->row.size[1],
                                               .channels = a->row.size[2],
                                               .levels = (int)a->image->levels,
                                               .steps = (int)a->image->steps,
                                               .hidden = a->image->width,
                                               .bits = (int)a->image->bits,
                                               .context = a->classes,
                                               .additive = a->image->additive,
                                               .permuted = a->image->permutation == 1,
                                               .reversed = a->image->permutation == 2,
                                               .alpha = a->image->logit });
}

static leat_flow *build_flowpp(leat_model *m, const wish *a)
{
    int each = (int)a->model->couplings;
    return leat_flowpp_new(m, &(leat_flowpp_opts){ .height = a->row.size[0],
                                                   .width = a->row.size[1],
                                                   .channels = a->row.size[2],
                                                   .couplings = { each, each, each },
                                                   .features = a->image->width,
                                                   .blocks = (int)a->image->blocks,
                                                   .heads = (int)a->image->heads,
                                                   .dropout = a->image->dropout,
                                                   .components = a->model->components,
                                                   .bits = (int)a->image->bits,
                                                   .context = a->classes,
                                                   .uniform = a->image->uniform });
}

static bool fits(const leat_shape *row, int64_t border, int64_t high, int64_t wide)
{
    return (row->size[0] + 2 * border) % high == 0 && (row->size[1] + 2 * border) % wide == 0;
}

/* Refuses sides that are no multiples of these powers of 2, and says with which border they would be. */
static leat_code refuse_sides(const app_train_job *job, const leat_shape *row, int64_t high, int64_t wide,
                              leat_status *s)
{
    int64_t border = 0, most = high + wide;
    char hint[100] = "";
    while (border <= most && !fits(row, border, high, wide))
        border++;
    if (border == 0)
        return LEAT_OK;
    if (border <= most)
        snprintf(hint, sizeof hint, "; --pad %lld makes them %lld and %lld",
                 (long long)(border + job->settings->image.pad), (long long)(row->size[0] + 2 * border),
                 (long long)(row->size[1] + 2 * border));
    return leat_fail(s, LEAT_ESHAPE,
                     "%s: images of %lld x %lld: heights must be multiples of %lld and widths of %lld%s",
                     job->settings->train.data, (long long)row->size[0], (long long)row->size[1], (long long)high,
                     (long long)wide, hint);
}

leat_flow *app_image_model_build(leat_model *m, const app_train_job *job, const leat_images *images, int classes,
                                 leat_status *s)
{
    const wish a = { &job->settings->model, &job->settings->image,
                     LEAT_SHAPE(images->height, images->width, images->channels), classes };
    static leat_flow *(*const builders[])(leat_model *, const wish *) = {
        [APP_NICE] = build_nice, [APP_REALNVP] = build_realnvp, [APP_FLOWPP] = build_flowpp, [APP_GLOW] = build_glow
    };
    int kind = job->settings->model.kind;
    int64_t scale = (int64_t)1 << a.image->levels;
    if ((kind == APP_GLOW && refuse_sides(job, &a.row, scale, scale, s)) ||
        (kind == APP_REALNVP && refuse_sides(job, &a.row, scale / 2, scale / 2, s)) ||
        (kind == APP_FLOWPP && refuse_sides(job, &a.row, 2, 4, s)))
        return NULL;
    return builders[kind](m, &a);
}
