/* Standardizing: densities in the data's own units, the names of the tensors, contexts, files, refusals. */
#include "standardize_support.h"

static const double centre[3] = { 100, -0.02, 7 }, spread[3] = { 40, 0.003, 1 };

/* Columns of very different units. */
static leat_tensor data_rows(int64_t n)
{
    leat_tensor x = test_normal(1, n, 3, 1);
    for (int64_t i = 0; i < 3 * n; i++)
        x.data[i] = (leat_real)(centre[i % 3] + spread[i % 3] * (double)x.data[i]);
    return x;
}

/* ---- what it does ------------------------------------------------------------------------------------------------ */

Test(standardize, transform)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_standardizer(m, 2, (double[]){ 3, -1 }, (double[]){ 2, 0.25 });
    assert_model(m);
    leat_tape *tape = test_tape(m);
    leat_tensor x = { (leat_real[]){ 5, -1, 3, 0 }, LEAT_SHAPE(2, 2) };
    leat_pair y = leat_transform_forward(t, leat_const(tape, x), &(leat_flow_call){ 0 });
    leat_pair back = leat_transform_inverse(t, y.y, &(leat_flow_call){ 0 });
    assert_tape(tape);
    assert_near(leat_value(y.y), (leat_tensor){ (leat_real[]){ 1, 0, 0, 4 }, LEAT_SHAPE(2, 2) }, 0, 1, "y");
    assert_near(leat_value(back.y), x, 0, 1, "back");
    for (int i = 0; i < 2; i++) {
        cr_assert(fabs((double)leat_value(y.logdet).data[i] + log(0.5)) < CLOSE);
        cr_assert_eq(leat_value(y.logdet).data[i], -leat_value(back.logdet).data[i]);
    }
    leat_model_free(m);
}

Test(standardize, by_the_columns_of_the_data)
{
    leat_model *m = test_model(0);
    leat_flow *flow = realnvp(m, 0);
    leat_tensor x = data_rows(2000);
    cr_assert_eq(leat_flow_standardize(flow, x, none), LEAT_OK, "%s", leat_model_errmsg(m));
    leat_tape *tape = test_tape(m);
    leat_pair h[3];
    cr_assert_eq(leat_flow_length(flow), 3);
    cr_assert_eq(leat_flow_trace(flow, leat_const(tape, x), (leat_var){ 0 }, h), LEAT_OK, "%s", leat_tape_errmsg(tape));
    leat_tensor z = leat_value(h[0].y);
    for (int j = 0; j < 3; j++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < 2000; i++) {
            sum += (double)z.data[3 * i + j] / 2000;
            squares += (double)z.data[3 * i + j] * (double)z.data[3 * i + j] / 2000;
        }
        cr_assert(fabs(sum) < 1e4 * CLOSE && fabs(squares - 1) < 1e4 * CLOSE, "column %d: %g, %g", j, sum, squares);
    }
    leat_model_free(m);
}

/* log p in the data's units: that of the standardized flow, minus sum log sd. */
Test(standardize, densities_are_in_the_units_of_the_data)
{
    leat_flow *flow[2];
    double scores[2][50];
    leat_tensor x = data_rows(50), scaled = test_tensor(50, 3);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        flow[k] = realnvp(m, 0);
        if (k)
            cr_assert_eq(leat_flow_standardize_by(flow[k], centre, spread, NULL, NULL), LEAT_OK);
        leat_tape *tape = test_tape(m);
        for (int i = 0; i < 150; i++)
            scaled.data[i] = (leat_real)(((double)x.data[i] - centre[i % 3]) / spread[i % 3]);
        cr_assert_eq(leat_flow_score(flow[k], tape, k ? x : scaled, scores[k]), LEAT_OK, "%s", leat_tape_errmsg(tape));
    }
    double shift = -log(spread[0]) - log(spread[1]) - log(spread[2]);
    for (int i = 0; i < 50; i++)
        cr_assert(fabs(scores[1][i] - scores[0][i] - shift) < 100 * CLOSE * fmax(1, fabs(scores[0][i])), "row %d", i);
    leat_model_free(leat_flow_model(flow[0]));
    leat_model_free(leat_flow_model(flow[1]));
}

Test(standardize, passes_the_checker)
{
    for (int64_t context = 0; context < 3; context += 2) {
        leat_model *m = test_model(0);
        leat_flow *flow = realnvp(m, context);
        leat_tensor x = data_rows(40), c = context ? test_normal(2, 40, context, 30) : none;
        cr_assert_eq(leat_flow_standardize(flow, x, c), LEAT_OK);
        leat_flow_report r;
        cr_assert(leat_flow_check(flow, x, &(leat_flow_check_opts){ .context = c }, &r), "%s", r.reason);
        leat_model_free(m);
    }
}

/* A new unit alone is no transform: a feature that no coupling moves is still found. */
Test(standardize, does_not_count_as_moving)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 3));
    leat_mask mask = leat_mask_alternating(m, 3, 0);
    leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, test_net(m, &mask, 0, 1)));
    leat_flow_standardize_by(flow, centre, spread, NULL, NULL);
    leat_flow_report r;
    cr_assert_not(leat_flow_check(flow, data_rows(5), NULL, &r));
    cr_assert_eq(r.never_moved, 1);
    leat_model_free(m);
}

/* A context in other units, standardized, is the same context. */
Test(standardize, context)
{
    leat_flow *flow[2];
    double scores[2][20];
    leat_real draws[2][20 * 3];
    static const double mean[2] = { 5, -300 }, sd[2] = { 0.5, 1000 };
    leat_tensor x = test_normal(1, 20, 3, 1), c[2] = { test_normal(2, 20, 2, 1), test_tensor(20, 2) };
    for (int i = 0; i < 40; i++)
        c[1].data[i] = (leat_real)(mean[i % 2] + sd[i % 2] * (double)c[0].data[i]);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        flow[k] = realnvp(m, 2);
        if (k)
            cr_assert_eq(leat_flow_standardize_by(flow[k], NULL, NULL, mean, sd), LEAT_OK);
        leat_tape *tape = test_tape(m);
        cr_assert_eq(leat_flow_score_given(flow[k], tape, x, c[k], scores[k]), LEAT_OK, "%s", leat_tape_errmsg(tape));
        cr_assert_eq(leat_flow_draw_rows(flow[k], tape, 0, 20, 1, c[k], draws[k]), LEAT_OK);
    }
    for (int i = 0; i < 20; i++)
        cr_assert(fabs(scores[1][i] - scores[0][i]) < 1e2 * CLOSE, "row %d", i);
    assert_near((leat_tensor){ draws[1], LEAT_SHAPE(60) }, (leat_tensor){ draws[0], LEAT_SHAPE(60) }, 1e2 * CLOSE, 1,
                "draws");
    for (int k = 0; k < 2; k++)
        leat_model_free(leat_flow_model(flow[k]));
}

/* ---- names and files --------------------------------------------------------------------------------------------- */

Test(standardize, is_saved, .init = make_folder, .fini = drop_folder)
{
    leat_model *m = test_model(0);
    leat_flow *flow = realnvp(m, 2);
    leat_status s = { 0 };
    leat_tensor x = data_rows(40), c = test_normal(2, 40, 2, 30);
    cr_assert_eq(leat_flow_standardize(flow, x, c), LEAT_OK);
    leat_flow_add(flow, leat_diagonal_scale(m, 3)); /* layers keep their numbers */
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_safetensors f;
    cr_assert_eq(leat_safetensors_read(path, test_arena(), &f, &s), LEAT_OK);
    static const char *const names[] = { "input.mean",    "input.sd",      "context.mean",      "context.sd",
                                         "layers.0.mask", "layers.1.mask", "layers.2.log_scale" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_not_null(leat_safetensors_find(&f, names[i]), "%s", names[i]);
    leat_flow *back = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    double scores[2][40];
    leat_flow *both[2] = { flow, back };
    for (int k = 0; k < 2; k++) {
        leat_tape *tape = test_tape(leat_flow_model(both[k]));
        cr_assert_eq(leat_flow_score_given(both[k], tape, x, c, scores[k]), LEAT_OK, "%s", leat_tape_errmsg(tape));
    }
    cr_assert_eq(memcmp(scores[0], scores[1], sizeof scores[0]), 0);
    cr_assert_eq(leat_model_hash(m), leat_model_hash(leat_flow_model(back)));
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

static const double bad[] = { 0, -1, (double)NAN, (double)INFINITY };

Test(standardize, deviations_refused_after_load, .init = make_folder, .fini = drop_folder)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_real mean[2] = { 1, 2 }, sd[2] = { 1, (leat_real)bad[i] };
        leat_safetensors_entry entries[] = { { "mean", { mean, LEAT_SHAPE(2) }, NULL },
                                             { "sd", { sd, LEAT_SHAPE(2) }, NULL } };
        leat_status s = { 0 };
        leat_model *m = test_model(0);
        leat_standardizer(m, 2, NULL, NULL);
        uint64_t hash = leat_model_hash(m);
        cr_assert_eq(leat_safetensors_write(path, &(leat_safetensors){ .count = 2, .entries = entries }, &s), LEAT_OK);
        cr_assert_eq(leat_load(m, path, &s), LEAT_EFORMAT);
        assert_contains(s.message, "column 2");
        cr_assert_eq(leat_model_hash(m), hash);
        leat_model_free(m);
    }
}

Test(standardize, what_tells_of_whole_numbers_is_refused_after_load, .init = make_folder, .fini = drop_folder)
{
    const double bad_flags[] = { 0.5, 2, -1, (double)NAN };
    leat_doubles x = { (double[]){ 1, 2, 3, 4, 5, 7 }, 3, 2 };
    for (size_t i = 0; i < sizeof bad_flags / sizeof *bad_flags; i++) {
        leat_status s = { 0 };
        leat_safetensors f;
        leat_flow *flow = leat_nice_new(test_model(0), &(leat_nice_opts){ .dim = 2, .hidden = { 3 } });
        leat_model *m = leat_flow_model(flow);
        leat_standardize_opts o = { .whole = (bool[]){ false, true } };
        cr_assert_eq(leat_flow_standardize_doubles(flow, x, &o), LEAT_OK, "%s", leat_model_errmsg(m));
        cr_assert_eq(leat_save(m, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
        uint64_t hash = leat_model_hash(m);
        cr_assert_eq(leat_safetensors_read(path, test_arena(), &f, &s), LEAT_OK);
        int changed = 0;
        for (int64_t k = 0; k < f.count; k++) {
            if (strstr(f.entries[k].name, "whole")) {
                f.entries[k].tensor.data[1] = (leat_real)bad_flags[i];
                if (f.entries[k].doubles)
                    f.entries[k].doubles[1] = bad_flags[i];
                changed++;
            }
        }
        cr_assert_eq(changed, 1);
        cr_assert_eq(leat_safetensors_write(path, &f, &s), LEAT_OK, "%s", s.message);
        cr_assert_eq(leat_load(m, path, &s), LEAT_EFORMAT);
        char says[80];
        snprintf(says, sizeof says, "whole numbers of column 2 are told by %g", bad_flags[i]);
        assert_contains(s.message, says);
        cr_assert_eq(leat_model_hash(m), hash);
        leat_model_free(m);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void expect_failure(leat_flow *flow, leat_code code, leat_code expected, const char *says)
{
    leat_model *m = leat_flow_model(flow);
    cr_assert_eq(code, expected, "%s", leat_model_errmsg(m));
    cr_assert_eq(leat_model_code(m), expected);
    assert_contains(leat_model_errmsg(m), says);
    leat_model_free(m);
}

Test(standardize, constant_columns_are_refused_by_number)
{
    leat_tensor x = data_rows(20), c = test_normal(2, 20, 2, 1);
    for (int i = 0; i < 20; i++)
        x.data[3 * i + 2] = (leat_real)0.1;
    leat_flow *flow = realnvp(test_model(0), 0);
    expect_failure(flow, leat_flow_standardize(flow, x, none), LEAT_EARG, "data: column 3 is constant: each of 20");
    for (int i = 0; i < 20; i++)
        c.data[2 * i + 1] = -4;
    flow = realnvp(test_model(0), 2);
    expect_failure(flow, leat_flow_standardize(flow, data_rows(20), c), LEAT_EARG, "context: column 2 is constant");
    flow = realnvp(test_model(0), 0);
    expect_failure(flow, leat_flow_standardize(flow, data_rows(1), none), LEAT_EARG, "column 1 is constant");
}

Test(standardize, other_refusals)
{
    leat_tensor x = data_rows(20);
    x.data[3 * 7 + 1] = (leat_real)NAN;
    leat_flow *flow = realnvp(test_model(0), 0);
    expect_failure(flow, leat_flow_standardize(flow, x, none), LEAT_ENONFINITE, "row 8, column 2");
    flow = realnvp(test_model(0), 0);
    expect_failure(flow, leat_flow_standardize(flow, test_normal(1, 5, 2, 1), none), LEAT_ESHAPE, "[5,2]");
    flow = realnvp(test_model(0), 2);
    expect_failure(flow, leat_flow_standardize(flow, data_rows(20), none), LEAT_ESHAPE, "context");
    flow = realnvp(test_model(0), 0);
    leat_flow_standardize(flow, data_rows(20), none);
    expect_failure(flow, leat_flow_standardize(flow, data_rows(20), none), LEAT_ESTATE, "already");
    flow = realnvp(test_model(0), 0);
    leat_model_seal(leat_flow_model(flow));
    expect_failure(flow, leat_flow_standardize(flow, data_rows(20), none), LEAT_ESTATE, "too late");
    flow = realnvp(test_model(0), 0);
    expect_failure(flow, leat_flow_standardize_by(flow, centre, (double[]){ 1, 0, 1 }, NULL, NULL), LEAT_EARG,
                   "column 2");
    leat_model *m = test_model(0);
    cr_assert_null(leat_standardizer(m, 0, NULL, NULL));
    cr_assert_eq(leat_model_code(m), LEAT_EARG);
    leat_model_free(m);
}

/* By quartiles: a far row moves nothing, rows left out do not count, and a column that is mostly one value keeps its mean. */
Test(standardize, by_quartiles)
{
    enum { N = 4001 };
    static double x[N * 2];
    static bool left_out[N];
    for (int i = 0; i < N; i++) { /* 0, 1 .. 4000 out of order; and 3 in nine of ten rows */
        x[2 * i] = (double)((i * 7) % N);
        x[2 * i + 1] = i % 10 ? 3 : i;
    }
    x[0] = -1e12;   /* in place of 0 */
    x[2 * 5] = 1e9; /* in place of 35, and left out */
    left_out[5] = true;
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 2));
    cr_assert_eq(leat_flow_standardize_doubles(flow, (leat_doubles){ x, N, 2 },
                                               &(leat_standardize_opts){ .left_out = left_out, .by_quartiles = true }),
                 LEAT_OK, "%s", leat_model_errmsg(m));
    leat_units u;
    cr_assert(leat_flow_units(flow, &u));
    cr_assert(fabs(u.mean[0] - 2000) <= 2 && fabs(u.sd[0] - 2000 / 1.34898) <= 2, "%g, %g", u.mean[0], u.sd[0]);
    cr_assert(u.mean[1] > 100 && u.sd[1] > 100, "%g, %g", u.mean[1], u.sd[1]);
    leat_model_free(m);
}
