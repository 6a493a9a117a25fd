/* What the tests of fitting share: data, a noisy conditioner, a fit to compare runs by. */
#ifndef LEAT_FLOWS_FIT_SUPPORT_H
#define LEAT_FLOWS_FIT_SUPPORT_H

#include "support.h"

/* Rows (a, a^2 / 2 + b), a and b normal, and a context of one column, whole numbers -1 .. 1 that a's mean follows. */
static inline void fit_data(uint64_t seed, int64_t rows, leat_tensor *x, leat_tensor *context)
{
    leat_rng rng = leat_rng_new(seed, 78);
    *x = test_tensor(rows, 2);
    *context = test_tensor(rows, 1);
    for (int64_t i = 0; i < rows; i++) {
        double c = (double)leat_rng_below(&rng, 3) - 1, a = c + 0.5 * leat_rng_normal(&rng);
        context->data[i] = (leat_real)c;
        x->data[2 * i] = (leat_real)a;
        x->data[2 * i + 1] = (leat_real)(a * a / 2 + 0.2 * leat_rng_normal(&rng));
    }
}

/* A layer [.., features] -> the same that adds noise in training, and counts its training steps in a buffer. */
typedef struct noisy_layer {
    leat_module module;
    leat_param *scale;
    leat_buffer *count;
} noisy_layer;

static inline leat_var noisy_forward(leat_module *m, leat_var x, leat_var context)
{
    (void)context;
    noisy_layer *n = (noisy_layer *)m;
    if (leat_tape_training(x.tape)) {
        n->count->value.data[0]++;
        x = leat_add(x, leat_mul_scalar(leat_randn(x.tape, leat_var_shape(x)), 0.1));
    }
    return leat_mul(x, leat_use(x.tape, n->scale));
}

static inline void noisy_visit(leat_module *m, leat_visitor *v)
{
    leat_visit_param(v, m, ((noisy_layer *)m)->scale);
    leat_visit_buffer(v, m, ((noisy_layer *)m)->count);
}

static inline leat_module *noisy_new(leat_model *m)
{
    static const leat_module_type type = { .name = "noisy", .forward = noisy_forward, .visit = noisy_visit };
    noisy_layer *n = leat_module_new(m, &type, sizeof *n);
    cr_assert_not_null(n);
    n->scale = leat_param_new(&n->module, "scale", leat_shape_of(0, NULL), leat_init_constant(1));
    n->count = leat_buffer_new(&n->module, "count", LEAT_SHAPE(1));
    return &n->module;
}

/* Two affine couplings with a diagonal normal below; with `noise`, behind the first layer of each net. */
static inline leat_flow *fit_flow(leat_model *m, int64_t context, bool noise)
{
    leat_flow *flow = leat_flow_new(m, leat_diagonal_normal(m, 2));
    leat_flow_set_context(flow, context);
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 2, i);
        leat_module *net = leat_sequential(m);
        leat_sequential_add(net, leat_linear_layer(m, 1 + context, 7));
        leat_sequential_add(net, leat_activation_layer(m, LEAT_TANH));
        if (noise)
            leat_sequential_add(net, noisy_new(m));
        leat_sequential_add(net, leat_linear_layer(m, 7, 2));
        leat_flow_add(flow, leat_coupling(m, mask, &test_affine, net));
    }
    assert_model(m);
    return flow;
}

/* Which rows a fit holds out: the first of a permutation. */
static inline void held_rows(uint64_t seed, int64_t rows, int64_t count, bool *held)
{
    int64_t order[200];
    cr_assert_leq(rows, 200);
    leat_rng rng = leat_rng_new(seed, (uint64_t)1 << 36);
    leat_rng_permutation(&rng, order, rows);
    for (int64_t i = 0; i < rows; i++)
        held[i] = false;
    for (int64_t i = 0; i < count; i++)
        held[order[i]] = true;
}

static inline void assert_fit(const leat_fit *f)
{
    cr_assert_eq(leat_fit_status(f)->code, LEAT_OK, "%s", leat_fit_status(f)->message);
}

static inline void assert_same_history(const leat_fit *a, const leat_fit *b)
{
    leat_fit_state one = leat_fit_get_state(a), other = leat_fit_get_state(b);
    cr_assert_eq(one.epoch, other.epoch);
    cr_assert_eq(one.best_epoch, other.best_epoch);
    for (int64_t i = 0; i < one.epoch; i++) {
        const leat_epoch_report *r = &one.history[i], *q = &other.history[i];
        cr_assert_eq(r->epoch, q->epoch);
        cr_assert_eq(r->best, q->best, "epoch %lld", (long long)r->epoch);
        const double numbers[][2] = {
            { r->loss, q->loss }, { r->validation, q->validation }, { r->lr, q->lr }, { r->grad_norm, q->grad_norm }
        };
        for (int k = 0; k < 4; k++)
            cr_assert(memcmp(&numbers[k][0], &numbers[k][1], sizeof(double)) == 0 ||
                          (isnan(numbers[k][0]) && isnan(numbers[k][1])),
                      "epoch %lld, number %d: %.17g and %.17g", (long long)r->epoch, k, numbers[k][0], numbers[k][1]);
    }
}

#endif
