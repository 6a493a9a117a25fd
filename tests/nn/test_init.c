/* How parameters start: bounds, moments, streams. */
#include "nn_helpers.h"

static leat_tensor value_of(leat_model *m, const char *name)
{
    leat_param *p = leat_find_param(m, name);
    cr_assert(p, "no %s: %s", name, leat_model_errmsg(m));
    return (leat_tensor){ p->leaf.value, p->leaf.shape };
}

/* Mean and variance within five standard errors of what they should be. kurtosis: the fourth central moment over the
 * squared variance. */
static void check_moments(leat_tensor t, double mean, double variance, double kurtosis)
{
    int64_t n = leat_shape_count(&t.shape);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)t.data[i];
        squares += ((double)t.data[i] - mean) * ((double)t.data[i] - mean);
    }
    cr_assert_leq(fabs(sum / (double)n - mean), 5 * sqrt(variance / (double)n));
    cr_assert_leq(fabs(squares / (double)n - variance), 5 * variance * sqrt((kurtosis - 1) / (double)n));
}

Test(init, linear_is_uniform_within_its_bound)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 3 });
    leat_linear_layer(m, 50, 1000);
    double bound = 1 / sqrt(50.0), largest = 0;
    static const char *const names[] = { "weight", "bias" };
    for (int k = 0; k < 2; k++) {
        leat_tensor t = value_of(m, names[k]);
        for (int64_t i = 0; i < leat_shape_count(&t.shape); i++) {
            cr_assert_leq(fabs((double)t.data[i]), (double)(leat_real)bound);
            largest = fmax(largest, fabs((double)t.data[i]));
        }
        check_moments(t, 0, bound * bound / 3, 1.8);
    }
    cr_assert_geq(largest, 0.999 * bound);
    leat_model_free(m);
}

Test(init, set_init_replaces_by_name)
{
    leat_model *m = leat_model_new(NULL);
    leat_module *net = leat_mlp(m, 30, (int64_t[]){ 400, 0 }, 30, LEAT_RELU);
    leat_set_init(net, "weight", leat_init_normal(2, 0.5));
    leat_set_init(net, "bias", leat_init_constant(-1.5));
    check_moments(value_of(m, "0.weight"), 2, 0.25, 3);
    check_moments(value_of(m, "2.weight"), 2, 0.25, 3);
    cr_assert(value_of(m, "0.bias").data[399] == (leat_real)-1.5);
    cr_assert(value_of(m, "2.bias").data[0] == (leat_real)-1.5);
    leat_set_init(net, "bias", leat_init_zeros());
    CHECK_FAILED(m, LEAT_ESTATE, "'bias' comes too late");
    leat_model_free(m);

    m = leat_model_new(NULL);
    leat_set_init(leat_mlp(m, 3, NULL, 3, LEAT_RELU), "wieght", leat_init_zeros());
    CHECK_FAILED(m, LEAT_EARG, "no parameter 'wieght'");
    leat_model_free(m);
    leat_set_init(NULL, "weight", leat_init_zeros());
}

Test(init, parameter_number_i_draws_from_stream_i)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 77 });
    leat_mlp(m, 3, (int64_t[]){ 8, 5, 0 }, 2, LEAT_RELU);
    static const struct {
        const char *name;
        int64_t in, n;
    } params[] = { { "0.weight", 3, 24 }, { "0.bias", 3, 8 },    { "2.weight", 8, 40 },
                   { "2.bias", 8, 5 },    { "4.weight", 5, 10 }, { "4.bias", 5, 2 } };
    for (uint64_t i = 0; i < 6; i++) {
        leat_real want[40];
        double bound = 1 / sqrt((double)params[i].in);
        leat_rng rng = leat_rng_new(77, i);
        leat_rng_fill_uniform(&rng, want, params[i].n, -bound, bound);
        check_bits(value_of(m, params[i].name).data, want, params[i].n, params[i].name);
    }
    leat_model_free(m);
}

Test(init, streams_for_building_do_not_meet_others)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 77 });
    leat_rng a = leat_model_stream(m), b = leat_model_stream(m);
    cr_assert_eq(a.seed, 77);
    cr_assert_eq(a.stream, (uint64_t)1 << 32);
    cr_assert_eq(b.stream, ((uint64_t)1 << 32) + 1);
    leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .stream = 5, .evaluate = true, .values_only = true });
    cr_assert_eq(leat_tape_rng(t)->seed, 77);
    cr_assert_eq(leat_tape_rng(t)->stream, ((uint64_t)1 << 33) + 5);
    cr_assert_not(leat_tape_training(t));
    cr_assert_not(leat_tape_recording(t));
    cr_assert_eq(leat_tape_pool(t), leat_model_pool(m));
    leat_model_free(m);
}
