/* The mixtures of logistics, alone and Flow++'s, and of normals as bijectors: the checker at every scale, exact values, files, training. */
#include "support.h"

#include <unistd.h>

/* Of this process, for both precisions are tested at once. */
static const char *file_name(void)
{
    static char name[60];
    snprintf(name, sizeof name, "/tmp/leat-mixture-%ld.safetensors", (long)getpid());
    return name;
}

#ifdef LEAT_DOUBLE
#define TOLERANCE 1e-8 /* the inverse is searched for */
#else
#define TOLERANCE 1e-4
#endif

enum { LOGISTIC, NORMAL, FLOWPP, KINDS };
static const char *const names[] = { "logistics", "normals", "Flow++" };

static const leat_elementwise *mixture_of(leat_model *m, int kind, int64_t components)
{
    return kind == NORMAL   ? leat_normal_mixture(m, components)
           : kind == FLOWPP ? leat_flowpp_mixture(m, components)
                            : leat_logistic_mixture(m, components);
}

static leat_flow *mixture_flow(leat_model *m, int kind, int64_t components, double scale)
{
    const leat_elementwise *e = mixture_of(m, kind, components);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_flow_add(f, leat_coupling(m, mask, e, test_net(m, &mask, 0, leat_elementwise_width(e))));
    }
    randomize(m, scale);
    return f;
}

Test(mixture, passes_the_checker)
{
    static const double scales[] = { 1e-3, 1, 1e3, 1e6 };
    static const int64_t components[] = { 0, 1, 4, 32 };
    for (int i = 0; i < 4 * KINDS; i++) {
        for (int s = 0; s < 4; s++) {
            leat_model *m = test_model(1);
            leat_flow *f = mixture_flow(m, i / 4, components[i % 4], 0.5);
            leat_flow_report r;
            leat_flow_check_opts o = { .tolerance = TOLERANCE };
            cr_assert(leat_flow_check(f, test_normal(7, 8, 3, scales[s]), &o, &r),
                      "%s, %d components, inputs times %g: %s", names[i / 4], (int)components[i % 4], scales[s],
                      r.reason);
            leat_model_free(m);
        }
    }
}

/* y by the definition, where it can be had: of logistics logit F, of normals the y with Phi(y) = F. */
static void expect_mixture(int kind, int64_t components)
{
    const bool normal = kind == NORMAL;
    static const double weight[2] = { 0.3, -0.4 }, mean[2] = { -1, 2 }, log_scale[2] = { -0.5, 0.25 };
    leat_model *m = test_model(0);
    const leat_elementwise *e = mixture_of(m, kind, components);
    const double *const raw[3] = { weight, mean, log_scale };
    leat_tensor x = test_tensor(41, 1);
    leat_tape *t = test_tape(m);
    leat_var theta[3];
    for (int g = 0; g < 3; g++) {
        leat_shape shape = components > 1 ? LEAT_SHAPE(41, 1, components) : LEAT_SHAPE(41, 1);
        leat_tensor values = leat_tensor_new(test_arena(), shape, NULL);
        for (int64_t i = 0; i < 41 * components; i++)
            values.data[i] = (leat_real)raw[g][i % components];
        theta[g] = leat_const(t, values);
    }
    for (int i = 0; i < 41; i++)
        x.data[i] = (leat_real)((i - 20) / 8.);
    leat_pair out = e->forward(e, leat_const(t, x), theta);
    assert_tape(t);
    for (int i = 0; i < 41; i++) {
        double cdf = 0, rest = 0, density = 0, total = 0;
        for (int64_t k = 0; k < components; k++) {
            double z = ((double)x.data[i] - mean[k]) / exp(log_scale[k]);
            double below = normal ? erfc(-z / sqrt(2)) / 2 : 1 / (1 + exp(-z)),
                   above = normal ? erfc(z / sqrt(2)) / 2 : 1 / (1 + exp(z));
            cdf += exp(weight[k]) * below;
            rest += exp(weight[k]) * above;
            density += exp(weight[k] - log_scale[k]) * (normal ? exp(-z * z / 2) / sqrt(2 * acos(-1)) : below * above);
            total += exp(weight[k]);
        }
        double y = (double)leat_value(out.y).data[i], slope = (double)leat_value(out.logdet).data[i];
        double own = normal ? log(erfc(-y / sqrt(2)) / erfc(y / sqrt(2))) : y;
        double steep = normal ? exp(-y * y / 2) / sqrt(2 * acos(-1)) : cdf * rest / total / total;
        cr_assert(fabs(own - log(cdf / rest)) <= 10 * (double)CLOSE * fmax(1, fabs(own)), "x = %g", (double)x.data[i]);
        cr_assert(fabs(slope - log(density / total / steep)) <= 10 * (double)CLOSE, "x = %g", (double)x.data[i]);
    }
    leat_model_free(m);
}

Test(mixture, is_what_the_distribution_function_says)
{
    for (int i = 0; i < 4; i++)
        expect_mixture(i / 2, 1 + i % 2);
}

static void save_and_train(int kind)
{
    leat_status s = { 0 };
    leat_model *m = test_model(0);
    leat_flow *f = mixture_flow(m, kind, 5, 0.4);
    cr_assert_eq(leat_flow_save(f, file_name(), 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(file_name(), NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    remove(file_name());
    leat_tensor x = test_normal(5, 64, 3, 1);
    double scores[2][64];
    cr_assert_eq(leat_flow_score(f, test_tape(m), x, scores[0]), LEAT_OK);
    cr_assert_eq(leat_flow_score(back, test_tape(leat_flow_model(back)), x, scores[1]), LEAT_OK);
    cr_assert_arr_eq(scores[0], scores[1], sizeof scores[0]);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-2 });
    leat_tape *t = test_tape(m);
    double first = 0, last = 0;
    for (int step = 0; step < 40; step++) {
        leat_tape_reset(t);
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(f, leat_const(t, x))));
        last = leat_item(loss);
        first = step ? first : last;
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    cr_assert_lt(last, first - 0.3, "from %g to %g", first, last);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

Test(mixture, comes_back_from_a_file_and_trains)
{
    for (int kind = 0; kind < KINDS; kind++)
        save_and_train(kind);
}

/* What Flow++ has behind the mixture of logistics: y exp(tanh(s)) + t. */
Test(mixture, flowpp_is_affine_behind)
{
    leat_model *m = test_model(0);
    const leat_elementwise *e = leat_flowpp_mixture(m, 2), *alone = leat_logistic_mixture(m, 2);
    leat_tape *t = test_tape(m);
    leat_var x = leat_const(t, test_normal(1, 9, 1, 2)), theta[5], scale;
    for (int g = 0; g < 5; g++) {
        leat_tensor values = test_normal(2 + (uint64_t)g, 9, g < 2 ? 1 : 2, 1);
        values.shape = g < 2 ? LEAT_SHAPE(9, 1) : LEAT_SHAPE(9, 1, 2);
        theta[g] = leat_const(t, values);
    }
    leat_pair out = e->forward(e, x, theta), inner = alone->forward(alone, x, theta + 2);
    scale = leat_tanh(theta[0]);
    assert_near(leat_value(out.y), leat_value(leat_add(leat_mul(inner.y, leat_exp(scale)), theta[1])), CLOSE, 1, "y");
    assert_near(leat_value(out.logdet), leat_value(leat_add(inner.logdet, leat_sum_features(scale))), CLOSE, 1,
                "logdet");
    leat_model_free(m);
}

Test(mixture, refuses_less_than_no_components)
{
    leat_model *m = test_model(0);
    cr_assert_null(leat_logistic_mixture(m, -1));
    assert_contains(leat_model_errmsg(m), "a mixture of -1 components");
    leat_model_free(m);
}

Test(mixture, refuses_more_than_there_is_room_for)
{
    leat_model *m = test_model(0);
    leat_flow *f = mixture_flow(m, FLOWPP, 65, 0.1);
    leat_tape *t = test_tape(m);
    leat_flow_log_prob(f, leat_const(t, test_normal(1, 4, 3, 1)));
    assert_contains(leat_tape_errmsg(t), "65 components, not 1 to 64");
    leat_model_free(m);
}
