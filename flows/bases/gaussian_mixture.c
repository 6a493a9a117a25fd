/* A mixture of normals with diagonal covariance, its draws, and its start by k-means. */
#include "base_impl.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>
#include <string.h>

typedef struct mixture {
    leat_base base;
    int64_t components;
    leat_base_values logits, loc, log_scale;
} mixture;

/* log sum_k w_k N(z; loc_k, scale_k^2): each component's row, [n, K, dim], is one of the normal's. */
static leat_var mixture_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    const mixture *x = (const mixture *)b;
    int64_t n = leat_var_size(z, 0), count = x->components;
    leat_var log_scale = leat_base_use(z.tape, x->log_scale);
    leat_var eps = leat_mul(leat_sub(leat_reshape(z, LEAT_SHAPE(n, 1, b->dim)), leat_base_use(z.tape, x->loc)),
                            leat_exp(leat_neg(log_scale)));
    leat_var density = leat_normal_log_density(leat_reshape(eps, LEAT_SHAPE(n * count, b->dim)));
    leat_var constant = leat_sub(leat_log_softmax(leat_base_use(z.tape, x->logits), 0), leat_sum_features(log_scale));
    return leat_logsumexp(leat_add(leat_reshape(density, LEAT_SHAPE(n, count)), constant), 1, (int[]){ 1 }, false);
}

/* A uniform number picks the component, as a one-hot row whose product with a table is a row of that to the bit. */
static leat_var mixture_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    const mixture *x = (const mixture *)b;
    leat_real *numbers = leat_tape_alloc(t, (size_t)x->components * sizeof *numbers);
    for (int64_t k = 0; numbers && k < x->components; k++)
        numbers[k] = (leat_real)k;
    if (!numbers)
        return (leat_var){ .tape = t };
    leat_var below = leat_cumsum(leat_softmax(leat_base_use(t, x->logits), 0), 0);
    leat_var which = leat_searchsorted(below, leat_rand(t, LEAT_SHAPE(n, 1)), true);
    which = leat_eq(leat_clamp(which, 0, (double)(x->components - 1)),
                    leat_borrow(t, (leat_tensor){ numbers, LEAT_SHAPE(x->components) }));
    leat_var scale = leat_exp(leat_matmul(which, leat_base_use(t, x->log_scale)));
    leat_var eps = leat_mul_scalar(leat_randn(t, LEAT_SHAPE(n, b->dim)), temperature);
    return leat_add(leat_mul(eps, scale), leat_matmul(which, leat_base_use(t, x->loc)));
}

static int64_t mixture_numbers(const leat_base *b)
{
    return b->dim + 1;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

enum { STARTS = 8 };

typedef struct clusters {
    int64_t n, dim, count;
    const leat_real *z;
    double *mean, *square, *nearest; /* [count, dim] twice; each row's squared distance from its cluster */
    int64_t *size, *cluster;
} clusters;

/* Gives rows to clusters first .. end - 1 where these are nearer; the sum of squared distances from the nearest. */
static double assign(clusters *c, int64_t first, int64_t end)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        for (int64_t k = first; k < end; k++) {
            double far = 0;
            for (int64_t j = 0; j < c->dim; j++) {
                double d = (double)c->z[i * c->dim + j] - c->mean[k * c->dim + j];
                far = fma(d, d, far);
            }
            if (k == 0 || far < c->nearest[i]) {
                c->nearest[i] = far;
                c->cluster[i] = k;
            }
        }
        sum += c->nearest[i];
    }
    return sum;
}

/* Means of the rows of each cluster, and mean squares about them; one that has lost its rows stays where it is. */
static void measure_clusters(clusters *c)
{
    memset(c->size, 0, (size_t)c->count * sizeof *c->size);
    for (int64_t i = 0; i < c->n; i++)
        c->size[c->cluster[i]]++;
    for (int pass = 0; pass < 2; pass++) {
        double *out = pass ? c->square : c->mean;
        for (int64_t i = 0; i < c->count * c->dim; i++)
            out[i] = c->size[i / c->dim] || pass ? 0 : out[i];
        for (int64_t i = 0; i < c->n; i++) {
            for (int64_t j = 0, at = c->cluster[i] * c->dim; j < c->dim; j++, at++) {
                double x = (double)c->z[i * c->dim + j], d = x - c->mean[at];
                out[at] += (pass ? d * d : x) / (double)c->size[c->cluster[i]];
            }
        }
    }
}

/* k-means from centres that are rows, each drawn in proportion to its squared distance from those before (Arthur &
 * Vassilvitskii 2007). */
static void find_clusters(clusters *c, uint64_t seed, uint64_t stream)
{
    leat_rng rng = leat_rng_new(seed, stream);
    double sum = 0, before = (double)INFINITY;
    for (int64_t k = 0; k < c->count; k++) {
        int64_t row = leat_rng_below(&rng, c->n);
        double left = k ? assign(c, k - 1, k) * leat_rng_uniform(&rng) : 0;
        for (row = k ? 0 : row; k && row < c->n - 1 && (left -= c->nearest[row]) > 0;)
            row++;
        for (int64_t j = 0; j < c->dim; j++)
            c->mean[k * c->dim + j] = (double)c->z[row * c->dim + j];
    }
    for (int round = 0; round < 50 && (sum = assign(c, 0, c->count)) < before; round++) {
        measure_clusters(c);
        before = sum;
    }
}

/* The log-likelihood of the rows as normals of their own clusters, but for a constant: of several starts the better one
 * is that which fits best, since a wide cluster of many rows may be no worse than a narrow one. */
static double fit_of(const clusters *c, double least)
{
    double sum = 0;
    for (int64_t i = 0; i < c->count * c->dim; i++) {
        double n = (double)c->size[i / c->dim], square = c->square[i] > least ? c->square[i] : least;
        sum += n > 0 ? n * (leat_log64(n) / (double)c->dim - 0.5 * leat_log64(square)) : 0;
    }
    return sum;
}

/* The mean square of one cluster's features. */
static double spread(const clusters *c)
{
    double sum = 0;
    for (int64_t j = 0; j < c->dim; j++)
        sum += c->square[j] / (double)c->dim;
    return sum;
}

/* Of each cluster its share, its mean and its spread, which is at least a hundredth of the whole's. */
static void take_clusters(const mixture *x, const clusters *c, double least)
{
    for (int64_t k = 0; x->logits.learned && k < c->count; k++)
        x->logits.learned->leaf.value[k] = (leat_real)leat_log64((double)(c->size[k] + 1));
    for (int64_t i = 0; i < c->count * c->dim; i++) {
        double square = c->square[i] > least ? c->square[i] : least;
        if (x->loc.learned)
            x->loc.learned->leaf.value[i] = (leat_real)c->mean[i];
        if (x->log_scale.learned && square > 0)
            x->log_scale.learned->leaf.value[i] = (leat_real)(0.5 * leat_log64(square));
    }
}

static leat_code mixture_start(leat_base *b, leat_tensor z)
{
    const mixture *x = (const mixture *)b;
    leat_model *m = b->module.model;
    clusters c = { .n = z.shape.size[0], .dim = b->dim, .count = 1, .z = z.data };
    size_t cells = (size_t)(x->components * c.dim) * sizeof(double), rows = (size_t)c.n * sizeof(double);
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m)->allocator);
    c.mean = leat_arena_zalloc(&scratch, cells);
    c.square = leat_arena_zalloc(&scratch, cells);
    c.size = leat_arena_zalloc(&scratch, cells);
    c.nearest = leat_arena_zalloc(&scratch, rows);
    c.cluster = leat_arena_zalloc(&scratch, rows);
    if (!c.mean || !c.square || !c.size || !c.nearest || !c.cluster) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for %lld clusters", (long long)x->components);
    } else {
        measure_clusters(&c); /* all rows are in the first */
        double least = 1e-4 * spread(&c);
        c.count = x->components;
        double fit, best = -(double)INFINITY;
        uint64_t start = 0x636c7573746572, best_start = start;
        for (uint64_t i = start; i < start + STARTS; i++) {
            find_clusters(&c, leat_model_seed(m), i);
            fit = fit_of(&c, least);
            best_start = fit > best ? i : best_start;
            best = fit > best ? fit : best;
        }
        find_clusters(&c, leat_model_seed(m), best_start);
        take_clusters(x, &c, least);
    }
    leat_arena_free(&scratch);
    return leat_model_code(m);
}

/* ---- in files, and new ------------------------------------------------------------------------------------------- */

static void mixture_write(const leat_module *m, leat_part_writer *w)
{
    const mixture *x = (const mixture *)m;
    leat_part_put_int(w, "components", x->components);
    leat_part_put_bool(w, "fixed_weights", x->logits.fixed != NULL);
    leat_part_put_bool(w, "fixed_means", x->loc.fixed != NULL);
    leat_part_put_bool(w, "fixed_scales", x->log_scale.fixed != NULL);
}

static leat_module *mixture_read(leat_part_reader *r, const leat_json *v)
{
    leat_gaussian_mixture_opts o = { .dim = r->features,
                                     .components = leat_part_size(r, v, "components", 1),
                                     .fixed_weights = leat_part_flag(v, "fixed_weights"),
                                     .fixed_means = leat_part_flag(v, "fixed_means"),
                                     .fixed_scales = leat_part_flag(v, "fixed_scales") };
    return o.components > 0 && leat_part_holds(r, LEAT_SHAPE(o.components, o.dim))
               ? (leat_module *)leat_gaussian_mixture(r->model, &o)
               : NULL;
}

const leat_base_type leat_gaussian_mixture_type = {
    .module = { .name = "gaussian_mixture", .write = mixture_write, .read = mixture_read },
    .log_prob = mixture_log_prob,
    .sample = mixture_sample,
    .numbers_per_row = mixture_numbers,
    .start = mixture_start,
};

leat_base *leat_gaussian_mixture(leat_model *m, const leat_gaussian_mixture_opts *o)
{
    mixture *x = leat_base_new(m, &leat_gaussian_mixture_type, o->dim, sizeof *x);
    if (!leat_check_dim(x, m, o->components, "a mixture of components"))
        return NULL;
    leat_base *b = &x->base;
    leat_shape table = LEAT_SHAPE(o->components, o->dim);
    x->components = o->components;
    x->logits = leat_base_values_new(b, "logits", LEAT_SHAPE(o->components), o->weights, true, o->fixed_weights,
                                     leat_init_zeros());
    x->loc = leat_base_values_new(b, "loc", table, o->means, false, o->fixed_means, leat_init_normal(0, 1));
    x->log_scale = leat_base_values_new(b, "log_scale", table, o->scales, true, o->fixed_scales, leat_init_zeros());
    return leat_model_code(m) ? NULL : b;
}
