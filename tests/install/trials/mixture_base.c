/* A base that is a mixture of normals of equal weight, learned. */
#include "trial.h"

enum { K = 3 };

typedef struct mixture {
    leat_base base;
    leat_param *mean, *log_sd; /* [K, dim] */
} mixture;

/* log sum_k exp(sum_j log N(z_j; mean_kj, sd_kj)) / K */
static leat_var log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    leat_var mean = leat_use(z.tape, ((mixture *)b)->mean), log_sd = leat_use(z.tape, ((mixture *)b)->log_sd);
    leat_var u = leat_div(leat_sub(leat_unsqueeze(z, 1), mean), leat_exp(log_sd)); /* [n, K, dim] */
    leat_var each = leat_add_scalar(leat_add(leat_mul_scalar(leat_square(u), 0.5), log_sd), 0.5 * log(8 * atan(1)));
    leat_var all = leat_neg(leat_sum_axes(each, 1, (int[]){ -1 }, false));
    return leat_sub_scalar(leat_logsumexp(all, 1, (int[]){ -1 }, false), log(K));
}

static leat_var sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    leat_var ends = leat_cumsum(leat_full(t, LEAT_SHAPE(K - 1), 1.0 / K), 0);
    leat_var which = leat_searchsorted(ends, leat_rand(t, LEAT_SHAPE(n, 1)), false);
    leat_var row = leat_mul(leat_full(t, LEAT_SHAPE(n, b->dim), 1), which), eps = leat_randn(t, LEAT_SHAPE(n, b->dim));
    leat_var sd = leat_exp(leat_gather(leat_use(t, ((mixture *)b)->log_sd), 0, row));
    leat_var mean = leat_gather(leat_use(t, ((mixture *)b)->mean), 0, row);
    return leat_add(mean, leat_mul_scalar(leat_mul(sd, eps), temperature));
}

static int64_t numbers_per_row(const leat_base *b)
{
    return 1 + b->dim;
}

static leat_module *read(leat_part_reader *r, const leat_json *v);
static const leat_base_type type = {
    .module = { .name = "mixture", .write = leat_part_write_nothing, .read = read },
    .log_prob = log_prob,
    .sample = sample,
    .numbers_per_row = numbers_per_row,
};

static leat_base *mixture_new(leat_model *m, int64_t dim)
{
    mixture *x = leat_module_new(m, &type.module, sizeof *x);
    x->base.dim = dim;
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
    leat_realnvp_opts o = { .dim = 2, .couplings = 2, .hidden = { 8 }, .base = mixture_new(m, 2) };
    return leat_realnvp_new(m, &o);
}

int main(void)
{
    const leat_module_type *const mine[] = { &type.module, NULL };
    return trial(build, &(leat_own_parts){ .bases = mine });
}
