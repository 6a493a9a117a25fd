/* A base that is a mixture of normals, learned. */
#include "trial.h"

typedef struct mixture {
    leat_base base;
    leat_param *weight, *mean, *log_sd; /* [K], [K, dim], [K, dim] */
} mixture;

enum { K = 3 };

/* log sum_k exp(log w_k + sum_j log N(z_j; mean_kj, sd_kj)) */
static leat_var log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    const mixture *x = (const mixture *)b;
    leat_tape *t = z.tape;
    leat_var log_sd = leat_use(t, x->log_sd), sd = leat_exp(log_sd);
    leat_var u = leat_div(leat_sub(leat_unsqueeze(z, 1), leat_use(t, x->mean)), sd); /* [n, K, dim] */
    leat_var each = leat_add_scalar(leat_add(leat_mul_scalar(leat_square(u), 0.5), log_sd), 0.5 * log(8 * atan(1)));
    leat_var all = leat_sub(leat_log_softmax(leat_use(t, x->weight), 0), leat_sum_axes(each, 1, (int[]){ -1 }, false));
    return leat_logsumexp(all, 1, (int[]){ -1 }, false);
}

static leat_var sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    const mixture *x = (const mixture *)b;
    leat_var ends = leat_cumsum(leat_softmax(leat_use(t, x->weight), 0), 0);
    leat_var which = leat_clamp(leat_searchsorted(ends, leat_rand(t, LEAT_SHAPE(n, 1)), false), 0, K - 1);
    leat_var row = leat_mul(leat_full(t, LEAT_SHAPE(n, b->dim), 1), which), eps = leat_randn(t, LEAT_SHAPE(n, b->dim));
    leat_var mean = leat_gather(leat_use(t, x->mean), 0, row), log_sd = leat_gather(leat_use(t, x->log_sd), 0, row);
    return leat_add(mean, leat_mul_scalar(leat_mul(leat_exp(log_sd), eps), temperature));
}

static int64_t numbers_per_row(const leat_base *b)
{
    return 1 + b->dim;
}

static void visit(leat_module *m, leat_visitor *v)
{
    leat_visit_param(v, m, ((mixture *)m)->weight);
    leat_visit_param(v, m, ((mixture *)m)->mean);
    leat_visit_param(v, m, ((mixture *)m)->log_sd);
}

static leat_module *read(leat_part_reader *r, const leat_json *v);
static const leat_base_type type = {
    .module = { .name = "mixture", .visit = visit, .write = leat_part_write_nothing, .read = read },
    .log_prob = log_prob, .sample = sample, .numbers_per_row = numbers_per_row,
};

static leat_base *mixture_new(leat_model *m, int64_t dim)
{
    mixture *x = leat_module_new(m, &type.module, sizeof *x);
    if (!x)
        return NULL;
    x->base.dim = dim;
    x->weight = leat_param_new(&x->base.module, "weight", LEAT_SHAPE(K), leat_init_zeros());
    x->mean = leat_param_new(&x->base.module, "mean", LEAT_SHAPE(K, dim), leat_init_normal(0, 1));
    x->log_sd = leat_param_new(&x->base.module, "log_sd", LEAT_SHAPE(K, dim), leat_init_zeros());
    return &x->base;
}

static leat_module *read(leat_part_reader *r, const leat_json *v)
{
    (void)v;
    return &mixture_new(leat_part_model(r), leat_part_features(r))->module;
}

static leat_flow *build(leat_model *m)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 2, .hidden = { 8 }, .base = mixture_new(m, 2) });
}

int main(void)
{
    const leat_module_type *const mine[] = { &type.module, NULL };
    return trial(build, &(leat_own_parts){ .bases = mine });
}
