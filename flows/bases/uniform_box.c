/* The uniform distribution on a box, log p = -sum log(high - low) inside, for flows into a bounded space. */
#include "base_impl.h"

#include <math.h>

typedef struct box {
    leat_base base;
    leat_base_values low, high;
} box;

static leat_var box_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    leat_var low = leat_base_use(z.tape, ((box *)b)->low), high = leat_base_use(z.tape, ((box *)b)->high);
    leat_var inside = leat_mul(leat_ge(z, low), leat_le(z, high));
    leat_var density = leat_neg(leat_log(leat_sub(high, low)));
    return leat_sum_features(leat_where(inside, density, leat_scalar(z.tape, -(double)INFINITY)));
}

/* Around the centre; up to temperature 1 no rounding leads out. */
static leat_var box_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    leat_var low = leat_base_use(t, ((box *)b)->low), high = leat_base_use(t, ((box *)b)->high);
    leat_var side = leat_mul_scalar(leat_sub_scalar(leat_rand(t, LEAT_SHAPE(n, b->dim)), 0.5), temperature);
    leat_var centre = leat_mul_scalar(leat_add(low, high), 0.5);
    leat_var z = leat_add(leat_mul(side, leat_sub(high, low)), centre);
    return temperature <= 1 ? leat_minimum(leat_maximum(z, low), high) : z;
}

static leat_code box_loaded(leat_module *m, leat_status *s)
{
    const box *b = (const box *)m;
    for (int64_t j = 0; j < b->base.dim; j++) {
        leat_real low = b->low.fixed->value.data[j], high = b->high.fixed->value.data[j];
        if (!(low < high) || !isfinite(high - low))
            return leat_fail(s, LEAT_EFORMAT, "feature %lld is to lie between %g and %g", (long long)j, (double)low,
                             (double)high);
    }
    return LEAT_OK;
}

static leat_module *box_read(leat_part_reader *r, const leat_json *v)
{
    (void)v;
    return leat_read_tensor(r, "low", r->features) ? (leat_module *)leat_uniform_box(r->model, r->features, NULL, NULL)
                                                   : NULL;
}

const leat_base_type leat_uniform_box_type = {
    .module = { .name = "uniform_box", .loaded = box_loaded, .write = leat_part_write_nothing, .read = box_read },
    .log_prob = box_log_prob,
    .sample = box_sample,
};

leat_base *leat_uniform_box(leat_model *m, int64_t dim, const double *low, const double *high)
{
    box *b = leat_base_new(m, &leat_uniform_box_type, dim, sizeof *b);
    leat_status s = { 0 };
    if (!b)
        return NULL;
    b->low = leat_base_values_new(&b->base, "low", LEAT_SHAPE(dim), low, false, true, leat_init_zeros());
    b->high = leat_base_values_new(&b->base, "high", LEAT_SHAPE(dim), high, false, true, leat_init_zeros());
    if (!b->low.fixed || !b->high.fixed)
        return NULL;
    for (int64_t j = 0; j < dim && !high; j++)
        b->high.fixed->value.data[j] = 1;
    if (box_loaded(&b->base.module, &s))
        leat_model_fail(m, LEAT_EARG, "a box: %s", s.message);
    return &b->base;
}
