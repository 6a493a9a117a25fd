/*
 * Bases of a place and a scale: z = loc + exp(log_scale) eps with independent features eps of a standard density. Of loc
 * and log_scale there is one for each feature, or one for each class, or a net makes them of each row's context. A family
 * is its density and draws of eps.
 */
#include "base_impl.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_2  0.69314718055994530942
#define LOG_PI 1.14472988584940017414

typedef struct location_scale location_scale;

typedef struct family {
    leat_var (*density)(location_scale *l, leat_var eps); /* [n, dim] -> [n] */
    leat_var (*draw)(location_scale *l, leat_tape *t, int64_t n);
    double quartile; /* the upper one of eps, at first */
} family;

struct location_scale {
    leat_base base;
    const family *family;
    leat_param *loc, *log_scale;
    int64_t classes;        /* 0: no classes */
    leat_module *net;       /* NULL: there are parameters */
    leat_base_values shape; /* of a family with one */
};

/* ---- place and scale --------------------------------------------------------------------------------------------- */

/* The greatest of a row of n numbers, or -1 if it is not one alone. */
static int64_t greatest(const leat_real *row, int64_t n)
{
    int64_t best = 0, ties = 0;
    for (int64_t k = 0; k < n; k++) {
        best = row[k] > row[best] ? k : best;
    }
    for (int64_t k = 0; k < n; k++)
        ties += !(row[k] < row[best]);
    return ties == 1 ? best : -1;
}

/* One-hot rows [n, classes]; a product with them picks rows of a table to the bit. */
static leat_var classes_of(const location_scale *l, leat_var context)
{
    leat_tensor c = leat_value(context);
    int64_t n = leat_var_size(context, 0), columns = leat_var_size(context, 1), classes = l->classes;
    if (leat_ok(context) && (c.shape.rank != 2 || (columns != 1 && columns != classes)))
        return leat_tape_fail(context.tape, LEAT_ESHAPE, "the context of %lld classes has 1 or %lld columns, not %lld",
                              (long long)classes, (long long)classes, (long long)columns);
    size_t bytes = (size_t)(n * classes) * sizeof(leat_real);
    leat_real *out = c.data ? leat_tape_alloc(context.tape, bytes) : NULL;
    if (!out)
        return (leat_var){ .tape = context.tape };
    memset(out, 0, bytes);
    for (int64_t i = 0; i < n; i++) {
        const leat_real *row = c.data + i * columns;
        double at = columns == 1 ? (double)row[0] : (double)greatest(row, classes);
        if (!(at >= 0 && at < (double)classes && at == floor(at)))
            return leat_tape_fail(context.tape, LEAT_EARG, "row %lld is of no class: %g is given, of %lld classes",
                                  (long long)i, (double)row[0], (long long)classes);
        out[i * classes + (int64_t)at] = 1;
    }
    return leat_borrow(context.tape, (leat_tensor){ out, LEAT_SHAPE(n, classes) });
}

/* loc and log_scale, [dim], or [n, dim] where they follow from the context. */
static bool find_place(location_scale *l, leat_tape *t, leat_var context, leat_var place[2])
{
    if ((l->net || l->classes) && leat_is_absent(context)) {
        leat_tape_fail(t, LEAT_ESTATE, "this base needs a context");
    } else if (l->net) {
        leat_var out = leat_forward(l->net, context);
        if (leat_check_features(out, 2 * l->base.dim, "place and scale"))
            leat_split(out, -1, l->base.dim, 2, place);
    } else {
        place[0] = leat_use(t, l->loc);
        place[1] = leat_use(t, l->log_scale);
        leat_var class = l->classes ? classes_of(l, context) : (leat_var){ 0 };
        for (int i = 0; i < 2 && l->classes; i++)
            place[i] = leat_matmul(class, place[i]);
    }
    return !leat_tape_code(t);
}

static leat_var location_scale_log_prob(leat_base *b, leat_var z, leat_var context)
{
    location_scale *l = (location_scale *)b;
    leat_var place[2];
    if (!find_place(l, z.tape, context, place))
        return (leat_var){ .tape = z.tape };
    leat_var eps = leat_mul(leat_sub(z, place[0]), leat_exp(leat_neg(place[1])));
    leat_var volume = l->net || l->classes ? leat_sum_features(place[1]) : leat_sum(place[1]);
    return leat_sub(l->family->density(l, eps), volume);
}

static leat_var location_scale_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    location_scale *l = (location_scale *)b;
    leat_var place[2];
    if (!find_place(l, t, context, place))
        return (leat_var){ .tape = t };
    leat_var eps = l->family->draw(l, t, n);
    if (temperature != 1)
        eps = leat_mul_scalar(eps, temperature);
    return leat_add(leat_mul(eps, leat_exp(place[1])), place[0]);
}

static int by_value(const void *a, const void *b)
{
    leat_real x = *(const leat_real *)a, y = *(const leat_real *)b;
    return (x > y) - (x < y);
}

static leat_code location_scale_start(leat_base *b, leat_tensor z)
{
    location_scale *l = (location_scale *)b;
    leat_model *m = b->module.model;
    int64_t n = z.shape.size[0];
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m)->allocator);
    leat_real *column = leat_arena_alloc(&scratch, (size_t)n * sizeof *column);
    if (!column)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for %lld numbers", (long long)n);
    for (int64_t j = 0; column && j < b->dim; j++) {
        for (int64_t i = 0; i < n; i++)
            column[i] = z.data[i * b->dim + j];
        qsort(column, (size_t)n, sizeof *column, by_value);
        double half = ((double)column[3 * n / 4] - (double)column[n / 4]) / 2;
        l->loc->leaf.value[j] = column[n / 2];
        if (half > 0) /* of a number that half of the rows have the scale says nothing */
            l->log_scale->leaf.value[j] = (leat_real)leat_log64(half / l->family->quartile);
    }
    leat_arena_free(&scratch);
    return leat_model_code(m);
}

static location_scale *location_scale_new(leat_model *m, const leat_base_type *type, int64_t dim, const family *f)
{
    location_scale *l = leat_base_new(m, type, dim, sizeof *l);
    if (l)
        l->family = f;
    return l;
}

/* The parameters, [dim]; NULL if there is no room. */
static leat_base *add_place(location_scale *l, double log_scale)
{
    if (!l)
        return NULL;
    l->loc = leat_param_new(&l->base.module, "loc", LEAT_SHAPE(l->base.dim), leat_init_zeros());
    l->log_scale = leat_param_new(&l->base.module, "log_scale", LEAT_SHAPE(l->base.dim), leat_init_constant(log_scale));
    return l->loc && l->log_scale ? &l->base : NULL;
}

/* ---- normals ----------------------------------------------------------------------------------------------------- */

static leat_var normal_density(location_scale *l, leat_var eps)
{
    (void)l;
    return leat_normal_log_density(eps);
}

static leat_var normal_draw(location_scale *l, leat_tape *t, int64_t n)
{
    return leat_randn(t, LEAT_SHAPE(n, l->base.dim));
}

static const family normals = { normal_density, normal_draw, 0.67449 };

static leat_module *diagonal_normal_read(leat_part_reader *r, const leat_json *v)
{
    (void)v;
    return (leat_module *)leat_diagonal_normal(r->model, r->features);
}

const leat_base_type leat_diagonal_normal_type = {
    .module = { .name = "diagonal_normal", .write = leat_part_write_nothing, .read = diagonal_normal_read },
    .log_prob = location_scale_log_prob,
    .sample = location_scale_sample,
    .start = location_scale_start,
};

leat_base *leat_diagonal_normal(leat_model *m, int64_t dim)
{
    return add_place(location_scale_new(m, &leat_diagonal_normal_type, dim, &normals), 0);
}

static void conditional_normal_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_module(w, "net", ((const location_scale *)m)->net);
}

static leat_module *conditional_normal_read(leat_part_reader *r, const leat_json *v)
{
    leat_module *net = leat_part_module(r, v, "net");
    return net ? (leat_module *)leat_conditional_normal(r->model, r->features, net) : NULL;
}

const leat_base_type leat_conditional_normal_type = {
    .module = { .name = "conditional_normal", .write = conditional_normal_write, .read = conditional_normal_read },
    .log_prob = location_scale_log_prob,
    .sample = location_scale_sample,
};

leat_base *leat_conditional_normal(leat_model *m, int64_t dim, leat_module *net)
{
    location_scale *l = location_scale_new(m, &leat_conditional_normal_type, dim, &normals);
    if (!l)
        return NULL;
    l->net = net;
    leat_attach(&l->base.module, net, "net");
    return &l->base;
}

static void class_normal_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "classes", ((const location_scale *)m)->classes);
}

static leat_module *class_normal_read(leat_part_reader *r, const leat_json *v)
{
    int64_t classes = leat_part_size(r, v, "classes", 1);
    return classes > 0 && leat_part_holds(r, LEAT_SHAPE(classes, r->features))
               ? (leat_module *)leat_class_normal(r->model, r->features, classes)
               : NULL;
}

const leat_base_type leat_class_normal_type = {
    .module = { .name = "class_normal", .write = class_normal_write, .read = class_normal_read },
    .log_prob = location_scale_log_prob,
    .sample = location_scale_sample,
};

leat_base *leat_class_normal(leat_model *m, int64_t dim, int64_t classes)
{
    location_scale *l = location_scale_new(m, &leat_class_normal_type, dim, &normals);
    if (!leat_check_dim(l, m, classes, "a base of classes"))
        return NULL;
    l->classes = classes;
    l->loc = leat_param_new(&l->base.module, "loc", LEAT_SHAPE(classes, dim), leat_init_normal(0, 1));
    l->log_scale = leat_param_new(&l->base.module, "log_scale", LEAT_SHAPE(classes, dim), leat_init_zeros());
    return l->loc && l->log_scale ? &l->base : NULL;
}

/* ---- families with a shape --------------------------------------------------------------------------------------- */

static leat_base *shaped_new(leat_model *m, const leat_base_type *type, int64_t dim, const family *f, const char *name,
                             const double *given, double start, double log_scale)
{
    location_scale *l = location_scale_new(m, type, dim, f);
    if (!l)
        return NULL;
    l->shape = leat_base_values_new(&l->base, name, LEAT_SHAPE(dim), given, true, given != NULL,
                                    leat_init_constant(leat_log64(start)));
    return l->shape.learned || l->shape.fixed ? add_place(l, log_scale) : NULL;
}

static void shaped_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_bool(w, "given", ((const location_scale *)m)->shape.fixed != NULL);
}

/* The numbers themselves come with the tensors. */
static leat_module *shaped_read(leat_part_reader *r, const leat_json *v, const char *name,
                                leat_base *(*make)(leat_model *m, int64_t dim, const double *given))
{
    bool given = leat_part_flag(v, "given");
    double *ones = NULL;
    if (!leat_read_tensor(r, name, r->features))
        return NULL;
    if (given && !(ones = leat_arena_alloc(leat_model_arena(r->model), (size_t)r->features * sizeof *ones)))
        return leat_part_fail(r, LEAT_ENOMEM, "out of memory for %lld features", (long long)r->features);
    for (int64_t i = 0; given && i < r->features; i++)
        ones[i] = 1;
    return (leat_module *)make(r->model, r->features, ones);
}

static leat_var student_density(location_scale *l, leat_var eps)
{
    leat_var log_df = leat_base_use(eps.tape, l->shape), df = leat_exp(log_df);
    leat_var roots = leat_mul_scalar(leat_add_scalar(log_df, LOG_PI), 0.5);
    leat_var terms = leat_mul(leat_mul_scalar(leat_add_scalar(df, 1), 0.5), leat_log1p(leat_div(leat_square(eps), df)));
    return leat_sub(leat_sum(leat_sub(leat_lgamma_half(leat_mul_scalar(df, 0.5)), roots)), leat_sum_features(terms));
}

static void fill_exponential(leat_rng *r, leat_real *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (leat_real)-leat_log64(leat_rng_uniform(r));
}

static void fill_cosine(leat_rng *r, leat_real *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (leat_real)leat_cos64(6.28318530717958647692 * leat_rng_uniform(r));
}

/* sqrt(df (U^(-2 / df) - 1)) cos(2 pi V): with y = -2 log(U) / df, U^(-2 / df) - 1 = e^y (1 - e^-y). */
static leat_var student_draw(location_scale *l, leat_tape *t, int64_t n)
{
    leat_shape shape = LEAT_SHAPE(n, l->base.dim);
    leat_var df = leat_exp(leat_base_use(t, l->shape));
    leat_var half = leat_div(leat_rand_by(t, shape, fill_exponential), df);
    leat_var radius = leat_sqrt(leat_mul(df, leat_neg(leat_expm1(leat_mul_scalar(half, -2)))));
    return leat_mul(leat_mul(leat_exp(half), radius), leat_rand_by(t, shape, fill_cosine));
}

static int64_t student_numbers(const leat_base *b)
{
    return 2 * b->dim;
}

static leat_module *student_read(leat_part_reader *r, const leat_json *v)
{
    return shaped_read(r, v, "log_df", leat_student_t);
}

const leat_base_type leat_student_t_type = {
    .module = { .name = "student_t", .write = shaped_write, .read = student_read },
    .log_prob = location_scale_log_prob,
    .sample = location_scale_sample,
    .numbers_per_row = student_numbers,
    .start = location_scale_start,
};

leat_base *leat_student_t(leat_model *m, int64_t dim, const double *df)
{
    static const family student = { student_density, student_draw, 0.7407 };
    return shaped_new(m, &leat_student_t_type, dim, &student, "log_df", df, 4, 0);
}

/* |eps| from 1e-30 on, below which no root of it is infinite. */
static leat_var generalized_density(location_scale *l, leat_var eps)
{
    leat_var log_power = leat_base_use(eps.tape, l->shape), power = leat_exp(log_power);
    leat_var constant = leat_sub(leat_sub_scalar(log_power, LOG_2), leat_lgamma(leat_exp(leat_neg(log_power))));
    leat_var size = leat_clamp(leat_abs(eps), 1e-30, (double)INFINITY);
    return leat_sub(leat_sum(constant), leat_sum_features(leat_pow(size, power)));
}

enum { TRIES = 8 };

/* A gamma variate of shape a >= 1 (Marsaglia & Tsang 2000), from normal and uniform numbers. */
static double gamma_of(double a, const leat_real *normal, const leat_real *uniform)
{
    double d = a - 1. / 3, c = 1 / sqrt(9 * d);
    for (int i = 0; i < TRIES; i++) {
        double x = (double)normal[i], root = fma(c, x, 1), v = root * root * root;
        if (v > 0 && leat_log64((double)uniform[i]) < 0.5 * x * x + d * (1 - v + leat_log64(v)))
            return d * v;
    }
    return d;
}

/* Of eps = W G^(1 / power) with W uniform on (-1, 1) and G a gamma variate of shape 1 + 1 / power. */
static leat_var generalized_draw(location_scale *l, leat_tape *t, int64_t n)
{
    int64_t dim = l->base.dim;
    leat_var power = leat_detach(leat_exp(leat_base_use(t, l->shape)));
    leat_var normal = leat_randn(t, LEAT_SHAPE(n, dim, TRIES)), uniform = leat_rand(t, LEAT_SHAPE(n, dim, TRIES));
    leat_var w = leat_sub_scalar(leat_mul_scalar(leat_rand(t, LEAT_SHAPE(n, dim)), 2), 1);
    leat_real *g = leat_tape_alloc(t, (size_t)(n * dim) * sizeof *g);
    if (!g || leat_tape_code(t))
        return (leat_var){ .tape = t };
    const leat_real *p = leat_value(power).data, *x = leat_value(normal).data, *u = leat_value(uniform).data;
    for (int64_t i = 0; i < n * dim; i++)
        g[i] = (leat_real)gamma_of(1 + 1 / (double)p[i % dim], x + i * TRIES, u + i * TRIES);
    return leat_mul(w, leat_pow(leat_borrow(t, (leat_tensor){ g, LEAT_SHAPE(n, dim) }), leat_reciprocal(power)));
}

static int64_t generalized_numbers(const leat_base *b)
{
    return (2 * TRIES + 1) * b->dim;
}

static leat_module *generalized_read(leat_part_reader *r, const leat_json *v)
{
    return shaped_read(r, v, "log_power", leat_generalized_normal);
}

const leat_base_type leat_generalized_normal_type = {
    .module = { .name = "generalized_normal", .write = shaped_write, .read = generalized_read },
    .log_prob = location_scale_log_prob,
    .sample = location_scale_sample,
    .numbers_per_row = generalized_numbers,
    .start = location_scale_start,
};

leat_base *leat_generalized_normal(leat_model *m, int64_t dim, const double *power)
{
    static const family generalized = { generalized_density, generalized_draw, 0.47694 };
    return shaped_new(m, &leat_generalized_normal_type, dim, &generalized, "log_power", power, 2, LOG_2 / 2);
}
