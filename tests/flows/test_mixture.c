/* The mixture of logistics as a bijector: the checker at every scale, exact values, files, training. */
#include "support.h"

#ifdef LEAT_DOUBLE
#define TOLERANCE 1e-8 /* the inverse is searched for */
#else
#define TOLERANCE 1e-4
#endif

static leat_flow *mixture_flow(leat_model *m, int64_t components, double scale)
{
    const leat_elementwise *e = leat_logistic_mixture(m, components);
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
    static const int64_t components[] = { 0, 1, 3, 32 };
    for (int i = 0; i < 4; i++) {
        for (int s = 0; s < 4; s++) {
            leat_model *m = test_model(1);
            leat_flow *f = mixture_flow(m, components[i], 0.5);
            leat_flow_report r;
            leat_flow_check_opts o = { .tolerance = TOLERANCE };
            cr_assert(leat_flow_check(f, test_normal(7, 8, 3, scales[s]), &o, &r), "%d components, inputs times %g: %s",
                      (int)components[i], scales[s], r.reason);
            leat_model_free(m);
        }
    }
}

/* One logistic is an affine map; of two, F by the definition, where it can be had. */
Test(mixture, is_the_logit_of_the_distribution_function)
{
    static const double weight[2] = { 0.3, -0.4 }, mean[2] = { -1, 2 }, log_scale[2] = { -0.5, 0.25 };
    for (int64_t components = 1; components <= 2; components++) {
        leat_model *m = test_model(0);
        const leat_elementwise *e = leat_logistic_mixture(m, components);
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
            x.data[i] = (leat_real)((i - 20) / 4.);
        leat_pair out = e->forward(e, leat_const(t, x), theta);
        assert_tape(t);
        for (int i = 0; i < 41; i++) {
            double cdf = 0, density = 0, total = 0;
            for (int64_t k = 0; k < components; k++) {
                double part = 1 / (1 + exp(-((double)x.data[i] - mean[k]) / exp(log_scale[k])));
                cdf += exp(weight[k]) * part;
                density += exp(weight[k] - log_scale[k]) * part * (1 - part);
                total += exp(weight[k]);
            }
            double y = log(cdf) - log(total - cdf), slope = log(density * total / cdf / (total - cdf));
            cr_assert(fabs((double)leat_value(out.y).data[i] - y) <= (double)CLOSE * fmax(1, fabs(y)));
            cr_assert(fabs((double)leat_value(out.logdet).data[i] - slope) <= (double)CLOSE * 10);
        }
        leat_model_free(m);
    }
}

Test(mixture, comes_back_from_a_file_and_trains)
{
    leat_status s = { 0 };
    leat_model *m = test_model(0);
    leat_flow *f = mixture_flow(m, 5, 0.4);
    cr_assert_eq(leat_flow_save(f, "mixture.safetensors", 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load("mixture.safetensors", NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    remove("mixture.safetensors");
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

Test(mixture, refuses_less_than_no_components)
{
    leat_model *m = test_model(0);
    cr_assert_null(leat_logistic_mixture(m, -1));
    assert_contains(leat_model_errmsg(m), "a mixture of -1 logistics");
    leat_model_free(m);
}
