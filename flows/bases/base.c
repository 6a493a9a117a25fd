/* Base distributions: the densities that a flow maps data to. Log-densities are sums over features of one row. */
#include "../flow_impl.h"
#include "../../nn/module_json.h"

static const leat_base_type *type_of(const leat_base *b)
{
    return (const leat_base_type *)b->module.type;
}

leat_var leat_base_log_prob(leat_base *b, leat_var z, leat_var context)
{
    if (!leat_check_features(z, b->dim, "a base distribution"))
        return (leat_var){ .tape = z.tape };
    const leat_scope *was = leat_tape_enter(z.tape, &b->module.scope);
    leat_var y = type_of(b)->log_prob(b, z, context);
    leat_tape_enter(z.tape, was);
    return y;
}

leat_var leat_base_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    const leat_scope *was = leat_tape_enter(t, &b->module.scope);
    leat_var z = temperature >= 0
                     ? type_of(b)->sample(b, t, n, temperature, context)
                     : leat_tape_fail(t, LEAT_EARG, "the temperature is %g, and must not be negative", temperature);
    leat_tape_enter(t, was);
    return z;
}

static leat_base *base_new(leat_model *m, const leat_base_type *type, int64_t dim, size_t size)
{
    leat_base *b = leat_module_new(m, &type->module, size);
    if (b)
        b->dim = dim;
    if (dim < 1)
        leat_model_fail(m, LEAT_EARG, "%s: a distribution over %lld features", type->module.name, (long long)dim);
    return b;
}

/* ---- standard normal --------------------------------------------------------------------------------------------- */

static leat_var normal_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    (void)b;
    return leat_normal_log_density(z);
}

static leat_var normal_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    leat_var eps = leat_randn(t, LEAT_SHAPE(n, b->dim));
    return temperature == 1 ? eps : leat_mul_scalar(eps, temperature);
}

static const leat_base_type normal_type = {
    .module = { .name = "normal", .write = leat_part_write_nothing },
    .log_prob = normal_log_prob,
    .sample = normal_sample,
};

leat_base *leat_normal(leat_model *m, int64_t dim)
{
    return base_new(m, &normal_type, dim, sizeof(leat_base));
}

/* ---- diagonal normal --------------------------------------------------------------------------------------------- */

typedef struct diagonal_normal {
    leat_base base;
    leat_param *loc, *log_scale;
} diagonal_normal;

static leat_var diagonal_log_prob(leat_base *b, leat_var z, leat_var context)
{
    diagonal_normal *d = (diagonal_normal *)b;
    leat_var log_scale = leat_use(z.tape, d->log_scale);
    leat_var eps = leat_mul(leat_sub(z, leat_use(z.tape, d->loc)), leat_exp(leat_neg(log_scale)));
    return leat_sub(normal_log_prob(b, eps, context), leat_sum(log_scale));
}

static leat_var diagonal_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    diagonal_normal *d = (diagonal_normal *)b;
    leat_var eps = normal_sample(b, t, n, temperature, context);
    return leat_add(leat_mul(eps, leat_exp(leat_use(t, d->log_scale))), leat_use(t, d->loc));
}

static void diagonal_visit(leat_module *m, leat_visitor *v)
{
    diagonal_normal *d = (diagonal_normal *)m;
    leat_visit_param(v, m, d->loc);
    leat_visit_param(v, m, d->log_scale);
}

static const leat_base_type diagonal_normal_type = {
    .module = { .name = "diagonal normal", .visit = diagonal_visit, .write = leat_part_write_nothing },
    .log_prob = diagonal_log_prob,
    .sample = diagonal_sample,
};

leat_base *leat_diagonal_normal(leat_model *m, int64_t dim)
{
    diagonal_normal *d = (diagonal_normal *)base_new(m, &diagonal_normal_type, dim, sizeof *d);
    if (!d)
        return NULL;
    d->loc = leat_param_new(&d->base.module, "loc", LEAT_SHAPE(dim), leat_init_zeros());
    d->log_scale = leat_param_new(&d->base.module, "log_scale", LEAT_SHAPE(dim), leat_init_zeros());
    return &d->base;
}

/* ---- logistic ---------------------------------------------------------------------------------------------------- */

static leat_var logistic_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)b;
    (void)context;
    return leat_logistic_log_density(z);
}

static leat_var logistic_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    leat_tensor draw = { .shape = LEAT_SHAPE(n, b->dim) };
    int64_t count = leat_shape_count(&draw.shape);
    if (count < 0)
        return leat_tape_fail(t, LEAT_ENOMEM, "no memory could hold %lld draws", (long long)n);
    draw.data = leat_tape_alloc(t, (size_t)count * sizeof(leat_real));
    if (!draw.data)
        return (leat_var){ .tape = t };
    leat_rng_fill_logistic(leat_tape_rng(t), draw.data, count);
    leat_var eps = leat_borrow(t, draw);
    return temperature == 1 ? eps : leat_mul_scalar(eps, temperature);
}

static const leat_base_type logistic_type = {
    .module = { .name = "logistic", .write = leat_part_write_nothing },
    .log_prob = logistic_log_prob,
    .sample = logistic_sample,
};

leat_base *leat_logistic(leat_model *m, int64_t dim)
{
    return base_new(m, &logistic_type, dim, sizeof(leat_base));
}
