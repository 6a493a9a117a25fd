/* Base distributions: what all of them share, and the two without parameters. */
#include "base_impl.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>

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

leat_code leat_base_start(leat_base *b, leat_tensor z)
{
    leat_model *m = b ? b->module.model : NULL;
    char text[LEAT_SHAPE_TEXT];
    if (!b || leat_model_seal(m))
        return b ? leat_model_code(m) : LEAT_ESTATE;
    if (z.shape.rank != 2 || z.shape.size[1] != b->dim || z.shape.size[0] < 1)
        return leat_model_fail(m, LEAT_ESHAPE, "a base of %lld features starts from rows of them, not from %s",
                               (long long)b->dim, leat_shape_print(&z.shape, text));
    for (int64_t i = 0; i < leat_shape_count(&z.shape); i++) {
        if (!isfinite(z.data[i]))
            return leat_model_fail(m, LEAT_ENONFINITE, "a base starts from %g in row %lld", (double)z.data[i],
                                   (long long)(i / b->dim) + 1);
    }
    return type_of(b)->start ? type_of(b)->start(b, z) : LEAT_OK;
}

void *leat_base_new(leat_model *m, const leat_base_type *type, int64_t dim, size_t size)
{
    leat_base *b = leat_module_new(m, &type->module, size);
    if (!leat_check_dim(b, m, dim, type->module.name))
        return NULL;
    b->dim = dim;
    return b;
}

leat_base_values leat_base_values_new(leat_base *b, const char *name, leat_shape shape, const double *given, bool logs,
                                      bool fixed, leat_init init)
{
    leat_model *m = b->module.model;
    leat_base_values n = { 0 };
    int64_t count = leat_shape_count(&shape);
    double *values = given ? leat_arena_alloc(leat_model_arena(m), (size_t)count * sizeof *values) : NULL;
    if (given && !values)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a base's %s", name);
    for (int64_t i = 0; values && i < count; i++) {
        values[i] = logs ? leat_log64(given[i]) : given[i];
        if (!isfinite(values[i]))
            leat_model_fail(m, LEAT_EARG, "%s: %s: number %lld is made from %g", b->module.type->name, name,
                            (long long)i, given[i]);
    }
    if (!fixed)
        n.learned = leat_param_new(&b->module, name, shape, values ? leat_init_values(values) : init);
    else
        n.fixed = leat_buffer_new(&b->module, name, shape);
    for (int64_t i = 0; n.fixed && values && i < count; i++)
        n.fixed->value.data[i] = (leat_real)values[i];
    return n;
}

leat_var leat_base_use(leat_tape *t, leat_base_values n)
{
    return n.learned ? leat_use(t, n.learned) : leat_borrow(t, n.fixed->value);
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
    return leat_base_new(m, &leat_normal_type, dim, sizeof(leat_base));
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
    return leat_base_new(m, &leat_logistic_type, dim, sizeof(leat_base));
}
