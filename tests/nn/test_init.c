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

/* ---- by fan ------------------------------------------------------------------------------------------------------ */

/* A model of one parameter. */
static leat_tensor start_of(leat_model *m, leat_shape shape, leat_init init)
{
    holder *h = holder_new(m, false);
    h->scale = leat_param_new(&h->module, "w", shape, init);
    return value_of(m, "w");
}

static void check_uniform(leat_tensor t, double variance)
{
    double bound = sqrt(3 * variance), largest = 0;
    for (int64_t i = 0; i < leat_shape_count(&t.shape); i++)
        largest = fmax(largest, fabs((double)t.data[i]));
    cr_assert(largest <= (double)(leat_real)bound && largest >= 0.999 * bound, "%g, not %g", largest, bound);
    check_moments(t, 0, variance, 1.8);
}

Test(init, xavier_and_kaiming)
{
    static const struct {
        int rank;
        int64_t size[LEAT_MAX_RANK], in, out;
    } shapes[] = { { 2, { 300, 50 }, 50, 300 }, { 2, { 40, 400 }, 400, 40 }, { 4, { 60, 20, 3, 5 }, 300, 900 } };
    for (int k = 0; k < 3; k++) {
        leat_shape shape = leat_shape_of(shapes[k].rank, shapes[k].size);
        const double in = (double)shapes[k].in, out = (double)shapes[k].out, gain = 1.5;
        for (uint64_t seed = 0; seed < 3; seed++) {
            const leat_model_opts opts = { .seed = seed };
            leat_model *m[4];
            for (int i = 0; i < 4; i++)
                m[i] = leat_model_new(&opts);
            check_uniform(start_of(m[0], shape, leat_init_xavier_uniform(gain)), gain * gain * 2 / (in + out));
            check_moments(start_of(m[1], shape, leat_init_xavier_normal(gain)), 0, gain * gain * 2 / (in + out), 3);
            check_uniform(start_of(m[2], shape, leat_init_kaiming_uniform(gain, LEAT_FAN_OUT)), gain * gain / out);
            check_moments(start_of(m[3], shape, leat_init_kaiming_normal(gain, LEAT_FAN_IN)), 0, gain * gain / in, 3);
            for (int i = 0; i < 4; i++)
                leat_model_free(m[i]);
        }
    }
}

/* ---- orthogonal -------------------------------------------------------------------------------------------------- */

/* Rows, or columns if there are fewer, have norm gain and are at right angles to each other. */
static void check_orthogonal(leat_tensor t, double gain)
{
    int64_t rows = t.shape.size[0], cols = leat_shape_count(&t.shape) / rows, few = rows < cols ? rows : cols;
    int64_t along = rows < cols ? 1 : cols, across = rows < cols ? cols : 1; /* strides */
    for (int64_t i = 0; i < few; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t k = 0; k < (rows < cols ? cols : rows); k++)
                sum += (double)t.data[i * across + k * along] * (double)t.data[j * across + k * along];
            double want = i == j ? gain * gain : 0, tolerance = sizeof(leat_real) == 8 ? 2e-15 : 1e-7;
            cr_assert(fabs(sum - want) <= 4 * tolerance * gain * gain, "%s: %d, %d of %d x %d: %.17g",
                      t.shape.rank == 2 ? "matrix" : "tensor", (int)i, (int)j, (int)rows, (int)cols, sum);
        }
    }
}

Test(init, orthogonal_matrices)
{
    static const int64_t sizes[][2] = { { 1, 1 }, { 2, 2 },  { 7, 7 },   { 1, 9 },
                                        { 9, 1 }, { 5, 12 }, { 64, 17 }, { 80, 80 } };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        leat_model *m = leat_model_new(&(leat_model_opts){ .seed = k });
        check_orthogonal(start_of(m, leat_shape_of(2, sizes[k]), leat_init_orthogonal(1)), 1);
        leat_model_free(m);
    }
    leat_model *m = leat_model_new(NULL);
    check_orthogonal(start_of(m, LEAT_SHAPE(6, 2, 3, 4), leat_init_orthogonal(1.5)), 1.5);
    leat_model_free(m);
}

/* Of the uniform distribution: entries have mean 0, variance 1/n and fourth moment 3 / (n (n + 2)), and the trace has
 * mean 0 and variance 1, which no rule for signs but the right one gives. */
Test(init, orthogonal_matrices_are_uniform)
{
    enum { N = 4, SEEDS = 4000 };
    double sum[N * N] = { 0 }, squares[N * N] = { 0 }, trace = 0, trace_squares = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed, .threads = 1 });
        leat_tensor t = start_of(m, LEAT_SHAPE(N, N), leat_init_orthogonal(1));
        double here = 0;
        for (int i = 0; i < N * N; i++) {
            sum[i] += (double)t.data[i];
            squares[i] += (double)t.data[i] * (double)t.data[i];
            here += i % (N + 1) == 0 ? (double)t.data[i] : 0;
        }
        trace += here;
        trace_squares += here * here;
        leat_model_free(m);
    }
    const double variance = 1.0 / N, fourth = 3.0 / (N * (N + 2.0));
    for (int i = 0; i < N * N; i++) {
        cr_assert_leq(fabs(sum[i] / SEEDS), 5 * sqrt(variance / SEEDS), "mean of %d: %g", i, sum[i] / SEEDS);
        cr_assert_leq(fabs(squares[i] / SEEDS - variance), 5 * sqrt((fourth - variance * variance) / SEEDS));
    }
    cr_assert_leq(fabs(trace / SEEDS), 5 / sqrt(SEEDS));
    cr_assert_leq(fabs(trace_squares / SEEDS - 1), 5 * sqrt(2.0 / SEEDS)); /* E trace^4 is 3 */
}

Test(init, orthogonal_one_by_one_is_a_sign)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed });
        leat_rng rng = leat_rng_new(seed, 0);
        leat_tensor t = start_of(m, LEAT_SHAPE(1, 1), leat_init_orthogonal(2));
        cr_assert_eq(t.data[0], leat_rng_normal(&rng) < 0 ? -2 : 2);
        leat_model_free(m);
    }
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static leat_init shaped(int which)
{
    switch (which) {
    case 0:
        return leat_init_xavier_uniform(1);
    case 1:
        return leat_init_xavier_normal(1);
    case 2:
        return leat_init_kaiming_uniform(1, LEAT_FAN_IN);
    case 3:
        return leat_init_kaiming_normal(1, LEAT_FAN_OUT);
    default:
        return leat_init_orthogonal(1);
    }
}

Test(init, shapes_without_rows_and_columns_are_refused)
{
    static const char *const names[] = { "Xavier", "Xavier", "Kaiming", "Kaiming", "orthogonal" };
    char want[120];
    for (int which = 0; which < 5; which++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_mlp(m, 3, (int64_t[]){ 5, 0 }, 2, LEAT_RELU);
        leat_set_init(net, "bias", shaped(which));
        leat_tape *t = leat_model_tape(m, NULL);
        leat_forward(net, leat_full(t, LEAT_SHAPE(1, 3), 1));
        snprintf(want, sizeof want, "0.bias: %s initialisation of [5], which has no rows and columns", names[which]);
        CHECK_FAILED(m, LEAT_ESHAPE, want);
        cr_assert(strstr(leat_tape_errmsg(t), want), "%s", leat_tape_errmsg(t));
        leat_model_free(m);
    }
}

Test(init, empty_shapes_are_filled_with_nothing)
{
    for (int which = 0; which < 5; which++) {
        leat_model *m = leat_model_new(NULL);
        start_of(m, LEAT_SHAPE(0, 3), shaped(which));
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        leat_model_free(m);
        m = leat_model_new(NULL);
        start_of(m, LEAT_SHAPE(3, 0), shaped(which));
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        leat_model_free(m);
    }
}
