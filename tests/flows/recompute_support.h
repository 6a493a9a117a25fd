/* What the tests of recomputing share: a loss, and flows of every kind. */
#ifndef LEAT_FLOWS_RECOMPUTE_SUPPORT_H
#define LEAT_FLOWS_RECOMPUTE_SUPPORT_H

#include "support.h"

enum { ROWS = 64 };

static inline leat_tensor rows_of(uint64_t seed, int64_t columns)
{
    return test_normal(seed, ROWS, columns, 1.5);
}

static inline leat_var loss_of(leat_flow *f, leat_tape *t, leat_tensor x)
{
    leat_var context = { 0 };
    if (leat_flow_context(f))
        context = leat_const(t, rows_of(2, leat_flow_context(f)));
    return leat_neg(leat_mean(leat_flow_log_prob_given(f, leat_borrow(t, x), context)));
}

static inline leat_code step_once(leat_flow *f, leat_tape *t, int64_t dim)
{
    leat_tape_reset(t);
    return leat_backward(loss_of(f, t, rows_of(1, dim)));
}

/* ---- flows ------------------------------------------------------------------------------------------------------- */

static inline leat_flow *nice(leat_model *m)
{
    return leat_nice_new(m, &(leat_nice_opts){ .dim = 5, .couplings = 5, .hidden = { 16, 12 }, .scale = true });
}

static inline leat_flow *nice_reversed(leat_model *m)
{
    return leat_nice_new(m, &(leat_nice_opts){ .dim = 4,
                                               .couplings = 3,
                                               .hidden = { 16 },
                                               .masks = LEAT_HALVES,
                                               .base = leat_logistic(m, 4),
                                               .reverse = true });
}

static inline leat_flow *realnvp(leat_model *m)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 3, .couplings = 6, .hidden = { 16, 12 } });
}

static inline leat_flow *conditional(leat_model *m)
{
    leat_flow *f =
        leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 3, .couplings = 4, .hidden = { 16 }, .context = 2 });
    double mean[3] = { 0.5, -1, 2 }, sd[3] = { 2, 3, 0.5 };
    leat_flow_standardize_by(f, mean, sd, mean, sd);
    return f;
}

static inline leat_flow *maf(leat_model *m)
{
    return leat_maf_new(m, &(leat_maf_opts){ .dim = 3, .transforms = 5, .hidden = { 16, 12 }, .context = 2 });
}

static inline leat_flow *nsf(leat_model *m)
{
    return leat_nsf_new(m, &(leat_nsf_opts){ .dim = 3, .transforms = 3, .hidden = { 16, 12 }, .bins = 4 });
}

/* y = x exp(a), of which something is dropped: a transform of a user's, of which nothing is known. `runs` counts the
 * first ones. */
typedef struct custom {
    leat_transform transform;
    leat_param *a;
    int runs, all_runs;
    double factor; /* other numbers from run to run */
} custom;

static inline leat_pair custom_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    custom *c = (custom *)t;
    c->runs += !leat_tape_recomputing(x.tape);
    leat_var a = leat_add_scalar(leat_use(x.tape, c->a), c->factor * c->all_runs++);
    leat_var y = leat_mul(leat_dropout(x, 0.01), leat_exp(a)); /* no bijection, but chance is what matters here */
    return (leat_pair){ y, leat_broadcast_to(leat_sum(a), LEAT_SHAPE(leat_var_size(x, 0))) };
}

static inline void custom_visit(leat_module *m, leat_visitor *v)
{
    leat_visit_param(v, m, ((custom *)m)->a);
}

static const leat_transform_type custom_type = {
    .module = { .name = "custom", .visit = custom_visit },
    .forward = custom_forward,
};

/* Another use of somebody else's parameter. */
static const leat_transform_type sharing_type = { .module = { .name = "sharing" }, .forward = custom_forward };

static inline custom *custom_new(leat_model *m, int64_t dim)
{
    custom *c = leat_module_new(m, &custom_type.module, sizeof *c);
    c->a = leat_param_new(&c->transform.module, "a", LEAT_SHAPE(dim), leat_init_normal(0, 0.1));
    return c;
}

/* y = x + t with an inverse by search */
static inline leat_pair searched_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_add(x, theta[0]), leat_zeros_like(x) };
}

static const leat_elementwise searched = { .name = "searched", .theta = { { "t", 1 } }, .forward = searched_forward };

/* Everything that there is, dropout in a conditioner and a parameter that two transforms share included. */
static inline leat_flow *mixed(leat_model *m)
{
    enum { DIM = 4 };
    leat_flow *f = leat_flow_new(m, leat_diagonal_normal(m, DIM));
    leat_mask mask = leat_mask_alternating(m, DIM, 0), other = leat_mask_alternating(m, DIM, 1);
    leat_flow_add(f, leat_reverse(m, DIM));
    leat_flow_add(f, leat_actnorm(m, DIM));
    leat_flow_add(f, leat_lu_linear(m, DIM));
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_linear_layer(m, mask.kept, 12));
    leat_sequential_add(net, leat_batch_norm(m, 12, NULL));
    leat_sequential_add(net, leat_activation_layer(m, LEAT_TANH));
    leat_sequential_add(net, leat_dropout_layer(m, 0.25));
    leat_sequential_add(net, leat_linear_layer(m, 12, 2 * mask.moved));
    leat_flow_add(f, leat_coupling(m, mask, &leat_affine, net));
    leat_flow_add(f, leat_batch_norm_transform(m, DIM, NULL));
    leat_flow_add(f, leat_permutation(m, DIM, NULL));
    custom *c = custom_new(m, DIM), *sharing = leat_module_new(m, &sharing_type.module, sizeof *sharing);
    sharing->a = c->a;
    leat_flow_add(f, &c->transform);
    leat_flow_add(f, leat_coupling(m, other, &searched, test_net(m, &other, 0, 1)));
    leat_flow_add(f, &sharing->transform);
    leat_flow_add(f, leat_diagonal_scale(m, DIM));
    leat_flow_add(f, leat_actnorm(m, DIM));
    leat_flow_standardize_by(f, (double[]){ 1, 2, 3, 4 }, (double[]){ 1, 2, 3, 4 }, NULL, NULL);
    return f;
}

#endif
