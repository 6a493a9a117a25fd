/* Base distributions: the densities that a flow maps data to. Log-densities are sums over features of one row. */
#include "../flow_impl.h"

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
    leat_shape shape = leat_var_shape(y), rows = LEAT_SHAPE(leat_var_size(z, 0));
    char text[LEAT_SHAPE_TEXT];
    if (!leat_tape_code(z.tape) && !leat_shape_equal(&shape, &rows))
        y = leat_tape_fail(z.tape, LEAT_ESHAPE, "a log-density for each of %lld rows is needed, and the base gives %s",
                           (long long)rows.size[0], leat_shape_print(&shape, text));
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

int64_t leat_base_numbers(const leat_base *b)
{
    return type_of(b)->numbers_per_row ? type_of(b)->numbers_per_row(b) : b->dim;
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

static leat_module *normal_read(leat_part_reader *r, const leat_json *v)
{
    (void)v;
    return (leat_module *)leat_normal(r->model, r->features);
}

const leat_base_type leat_normal_type = {
    .module = { .name = "normal", .write = leat_part_write_nothing, .read = normal_read },
    .log_prob = normal_log_prob,
    .sample = normal_sample,
};

leat_base *leat_normal(leat_model *m, int64_t dim)
{
    return base_new(m, &leat_normal_type, dim, sizeof(leat_base));
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

static leat_module *diagonal_normal_read(leat_part_reader *r, const leat_json *v)
{
    (void)v;
    return (leat_module *)leat_diagonal_normal(r->model, r->features);
}

const leat_base_type leat_diagonal_normal_type = {
    .module = { .name = "diagonal_normal", .write = leat_part_write_nothing, .read = diagonal_normal_read },
    .log_prob = diagonal_log_prob,
    .sample = diagonal_sample,
};

leat_base *leat_diagonal_normal(leat_model *m, int64_t dim)
{
    diagonal_normal *d = (diagonal_normal *)base_new(m, &leat_diagonal_normal_type, dim, sizeof *d);
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
    leat_var eps = leat_rand_by(t, LEAT_SHAPE(n, b->dim), leat_rng_fill_logistic);
    return temperature == 1 ? eps : leat_mul_scalar(eps, temperature);
}

static leat_module *logistic_read(leat_part_reader *r, const leat_json *v)
{
    (void)v;
    return (leat_module *)leat_logistic(r->model, r->features);
}

const leat_base_type leat_logistic_type = {
    .module = { .name = "logistic", .write = leat_part_write_nothing, .read = logistic_read },
    .log_prob = logistic_log_prob,
    .sample = logistic_sample,
};

leat_base *leat_logistic(leat_model *m, int64_t dim)
{
    return base_new(m, &leat_logistic_type, dim, sizeof(leat_base));
}
