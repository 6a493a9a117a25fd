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
                                               .permuted = a->image->permutation != 0 });
}

/* Sides that are halved so many times must be multiples of 2^halvings; says with which border they would be. */
static leat_code refuse_sides(const app_train_job *job, const leat_shape *row, int64_t halvings, leat_status *s)
{
    int64_t unit = (int64_t)1 << halvings, pad = 0;
    while (pad <= unit && ((row->size[0] + 2 * pad) % unit || (row->size[1] + 2 * pad) % unit))
        pad++;
    if (pad == 0)
        return LEAT_OK;
    int64_t more = pad + job->settings->image.pad;
    char hint[100] = "";
    if (pad <= unit)
        snprintf(hint, sizeof hint, "; --pad %lld makes them %lld and %lld", (long long)more,
                 (long long)(row->size[0] + 2 * pad), (long long)(row->size[1] + 2 * pad));
    return leat_fail(s, LEAT_ESHAPE, "%s: images of %lld x %lld: with %lld levels sides must be multiples of %lld%s",
                     job->settings->train.data, (long long)row->size[0], (long long)row->size[1],
                     (long long)job->settings->image.levels, (long long)unit, hint);
}

leat_flow *app_image_model_build(leat_model *m, const app_train_job *job, const leat_images *images, int classes,
                                 leat_status *s)
{
    const wish a = { &job->settings->model, &job->settings->image,
                     LEAT_SHAPE(images->height, images->width, images->channels), classes };
    static leat_flow *(*const builders[])(leat_model *, const wish *) = {
        [APP_NICE] = build_nice, [APP_REALNVP] = build_realnvp, [APP_GLOW] = build_glow
    };
    int kind = job->settings->model.kind;
    if (!builders[kind]) {
        leat_fail(s, LEAT_EARG, "%s: %s does not train on images", job->settings->train.data, job->program->name);
        return NULL;
    }
    if (refuse_sides(job, &a.row, a.image->levels - (kind == APP_REALNVP), s)) /* whose last scale is not halved */
        return NULL;
    return builders[kind](m, &a);
}
