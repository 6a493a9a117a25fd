/* The bases beyond the normal ones, of two features each, and what tests ask of them. */
#ifndef BASE_KINDS_H
#define BASE_KINDS_H

#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static const leat_tensor none;
static const double df[2] = { 1, 2 }, power[2] = { 1, 3.5 }, low[2] = { -1, 0.1 }, high[2] = { 3, 0.4 };
static const double weights[3] = { 1, 2, 5 }, means[6] = { -3, 0, 1, 2, 4, -1 }, scales[6] = { 0.5, 1, 2, 0.7, 1, 1.5 };

static inline leat_base *student(leat_model *m)
{
    return leat_student_t(m, 2, NULL);
}

static inline leat_base *student_given(leat_model *m)
{
    return leat_student_t(m, 2, df);
}

static inline leat_base *generalized(leat_model *m)
{
    return leat_generalized_normal(m, 2, NULL);
}

static inline leat_base *generalized_given(leat_model *m)
{
    return leat_generalized_normal(m, 2, power);
}

static inline leat_base *mixture(leat_model *m)
{
    return leat_gaussian_mixture(m,
                                 &(leat_gaussian_mixture_opts){
                                     .dim = 2, .components = 3, .weights = weights, .means = means, .scales = scales });
}

static inline leat_base *mixture_fixed(leat_model *m)
{
    return leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = 2,
                                                                   .components = 3,
                                                                   .weights = weights,
                                                                   .means = means,
                                                                   .scales = scales,
                                                                   .fixed_weights = true,
                                                                   .fixed_means = true,
                                                                   .fixed_scales = true });
}

static inline leat_base *conditional(leat_model *m)
{
    return leat_conditional_normal(m, 2, leat_mlp(m, 3, (int64_t[]){ 5, 0 }, 4, LEAT_TANH));
}

static inline leat_base *of_classes(leat_model *m)
{
    return leat_class_normal(m, 2, 3);
}

static inline leat_base *box(leat_model *m)
{
    return leat_uniform_box(m, 2, low, high);
}

enum {
    STUDENT,
    STUDENT_GIVEN,
    GENERALIZED,
    GENERALIZED_GIVEN,
    MIXTURE,
    MIXTURE_FIXED,
    CONDITIONAL,
    ONE_HOT,
    NUMBERED,
    BOX,
    KINDS
};

static const struct kind {
    leat_base *(*make)(leat_model *m);
    int64_t context;
} kinds[KINDS] = {
    { student, 0 },       { student_given, 0 }, { generalized, 0 }, { generalized_given, 0 }, { mixture, 0 },
    { mixture_fixed, 0 }, { conditional, 3 },   { of_classes, 3 },  { of_classes, 1 },        { box, 0 },
};

static inline leat_tensor context_of(int kind, int64_t n)
{
    int64_t columns = kinds[kind].context;
    leat_tensor c = columns ? test_normal(21, n, columns, 1) : none;
    for (int64_t i = 0; i < n && (kind == ONE_HOT || kind == NUMBERED); i++) {
        for (int64_t k = 0; k < columns; k++)
            c.data[i * columns + k] = columns == 1 ? (leat_real)(i % 3) : i % 3 == k;
    }
    return c;
}

typedef struct params {
    int count;
    leat_param *param[8];
} params;

static inline void keep_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    params *all = v->user;
    all->param[all->count++] = p;
}

static inline params params_of(leat_model *m)
{
    params all = { 0 };
    leat_visitor v = { .user = &all, .param = keep_param };
    leat_visit_model(&v, m);
    return all;
}

/* A flow of the base alone, its parameters a little off where they start. */
static inline leat_flow *flow_with(leat_model *m, int kind, bool scaled)
{
    leat_flow *flow = leat_flow_new(m, kinds[kind].make(m));
    if (scaled)
        leat_flow_add(flow, leat_diagonal_scale(m, 2));
    leat_flow_set_context(flow, kinds[kind].context);
    cr_assert_eq(leat_model_seal(m), LEAT_OK, "kind %d: %s", kind, leat_model_errmsg(m));
    params all = params_of(m);
    leat_rng rng = leat_rng_new(8, 8);
    for (int p = 0; p < all.count && kind != MIXTURE; p++)
        for (int64_t i = 0; i < leat_shape_count(&all.param[p]->leaf.shape); i++)
            all.param[p]->leaf.value[i] += (leat_real)(0.25 * leat_rng_normal(&rng));
    return flow;
}

static inline leat_flow *flow_of(leat_model *m, int kind)
{
    return flow_with(m, kind, false);
}

static inline double *scores_of(leat_flow *flow, leat_tensor z, leat_tensor context)
{
    double *out = leat_arena_alloc(test_arena(), (size_t)z.shape.size[0] * sizeof *out);
    leat_tape *tape = test_tape(leat_flow_model(flow));
    cr_assert_eq(leat_flow_score_given(flow, tape, z, context, out), LEAT_OK, "%s", leat_tape_errmsg(tape));
    return out;
}

static inline double at(leat_model *m, const char *name, int64_t i)
{
    return (double)param_value(m, name).data[i];
}

static inline double normal_log(double z, double loc, double log_scale)
{
    double eps = (z - loc) / exp(log_scale);
    return -0.5 * eps * eps - 0.5 * log(2 * M_PI) - log_scale;
}

static inline double student_log(double eps, double v)
{
    return lgamma((v + 1) / 2) - lgamma(v / 2) - 0.5 * log(M_PI * v) - (v + 1) / 2 * log1p(eps * eps / v);
}

static inline double generalized_log(double eps, double b)
{
    return log(b / 2) - lgamma(1 / b) - pow(fabs(eps), b);
}

#endif
