/* Units: rows in double, bounds, and whole numbers. */
#include "standardize_support.h"

/* ---- in double --------------------------------------------------------------------------------------------------- */

/* Seconds since 1970 within an hour, and numbers in a tiny unit. */
enum { TIMES = 400 };
static leat_doubles times(void)
{
    static double numbers[3 * TIMES];
    leat_tensor x = test_normal(1, TIMES, 3, 1);
    for (int i = 0; i < 3 * TIMES; i++)
        numbers[i] = (double)x.data[i] * (i % 3 == 0 ? 900 : i % 3 == 1 ? 1e-300 : 1) + (i % 3 ? 0 : 1.7e9);
    return (leat_doubles){ numbers, TIMES, 3 };
}

/* As rows of 0 and 1 give, but for the units. */
Test(units, doubles_lose_nothing)
{
    leat_doubles x = times();
    double scores[TIMES], plain[TIMES], back[3 * TIMES], logdet[TIMES], inverse[TIMES];
    static leat_real z[3 * TIMES], z_plain[3 * TIMES];
    leat_tensor units = leat_tensor_new(leat_model_arena(test_model(0)), LEAT_SHAPE(TIMES, 3), NULL);
    leat_flow *flow = realnvp(test_model(0), 0), *same = realnvp(test_model(0), 0);
    const double *mean, *sd;
    leat_units units_of;
    cr_assert_eq(leat_flow_standardize_doubles(flow, x, NULL), LEAT_OK);
    cr_assert(!leat_flow_units(same, &units_of) && leat_flow_units(flow, &units_of));
    mean = units_of.mean;
    sd = units_of.sd;
    for (int i = 0; i < 3 * TIMES; i++)
        units.data[i] = (leat_real)((x.data[i] - mean[i % 3]) / sd[i % 3]);
    leat_tape *tape = test_tape(leat_flow_model(flow)), *other = test_tape(leat_flow_model(same));
    cr_assert_eq(leat_flow_score_doubles(flow, tape, x, (leat_doubles){ 0 }, scores), LEAT_OK);
    cr_assert_eq(leat_flow_score(same, other, units, plain), LEAT_OK);
    cr_assert_eq(leat_flow_encode_doubles(flow, tape, x, (leat_doubles){ 0 }, z, logdet), LEAT_OK);
    cr_assert_eq(leat_flow_encode(same, other, units, none, z_plain, NULL), LEAT_OK);
    double log_sd = log(sd[0]) + log(sd[1]) + log(sd[2]);
    cr_assert_eq(memcmp(z, z_plain, sizeof z), 0);
    for (int i = 0; i < TIMES; i++)
        cr_assert_lt(fabs(scores[i] - (plain[i] - log_sd)), 1e-9 * fabs(scores[i]));
    leat_tensor latents = { z, LEAT_SHAPE(TIMES, 3) };
    cr_assert_eq(leat_flow_decode_doubles(flow, tape, latents, (leat_doubles){ 0 }, back, inverse), LEAT_OK);
    for (int i = 0; i < 3 * TIMES; i++)
        cr_assert_lt(fabs(back[i] - x.data[i]), 1e-5 * sd[i % 3], "row %d: %.17g, not %.17g", i / 3, back[i],
                     x.data[i]);
    for (int i = 0; i < TIMES; i++)
        cr_assert_lt(fabs(logdet[i] + inverse[i]), 1e-4 * fabs(logdet[i]));
    leat_flow_check_opts opts = { .doubles = x };
    leat_flow_report report;
    cr_assert(leat_flow_check(flow, none, &opts, &report), "%s", report.reason);
    cr_assert_eq(leat_flow_score_doubles(flow, tape, (leat_doubles){ back, 3, 2 }, (leat_doubles){ 0 }, scores),
                 LEAT_ESHAPE);
}

Test(units, doubles_in_files_and_contexts, .init = make_folder, .fini = drop_folder)
{
    leat_doubles x = times(), c = { x.data, TIMES, 3 };
    double scores[TIMES], again[TIMES];
    leat_status s = { 0 };
    leat_flow *flow = realnvp(test_model(0), 3);
    cr_assert_eq(leat_flow_standardize_doubles(flow, x, &(leat_standardize_opts){ .context = c }), LEAT_OK);
    leat_tape *tape = test_tape(leat_flow_model(flow));
    cr_assert_eq(leat_flow_score_doubles(flow, tape, x, c, scores), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *loaded = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(loaded, "%s", s.message);
    cr_assert_eq(leat_flow_score_doubles(loaded, test_tape(leat_flow_model(loaded)), x, c, again), LEAT_OK);
    cr_assert_eq(memcmp(scores, again, sizeof scores), 0);
}

/* A fit of rows in double is that of the rows in the flow's units, moved by log sd; rows that are held out do not count
 * for the standardizer. */
static void fit_in_double(leat_recompute how)
{
    leat_doubles x = times();
    bool held[TIMES];
    double without[3 * TIMES];
    leat_units units_of, without_held;
    leat_fit_opts o = { .doubles = x, .validation = 0.25, .epochs = 3, .batch = 64 };
    int64_t n = 0;
    cr_assert_eq(leat_fit_held(&o, held), LEAT_OK);
    for (int i = 0; i < TIMES; i++) {
        memcpy(without + 3 * n, x.data + 3 * i, 3 * sizeof *without);
        n += !held[i];
    }
    cr_assert_eq(n, TIMES * 3 / 4);
    leat_flow *flow = realnvp(test_model(0), 0), *plain = realnvp(test_model(0), 0), *other = realnvp(test_model(0), 0);
    leat_flow_standardize_doubles(flow, x, &(leat_standardize_opts){ .left_out = held });
    leat_flow_standardize_doubles(other, (leat_doubles){ without, n, 3 }, NULL);
    leat_flow_units(flow, &units_of);
    leat_flow_units(other, &without_held);
    const double *mean = units_of.mean, *sd = units_of.sd;
    cr_assert_eq(memcmp(mean, without_held.mean, 3 * sizeof *mean), 0);
    cr_assert_eq(memcmp(sd, without_held.sd, 3 * sizeof *sd), 0);
    leat_tensor units = leat_tensor_new(leat_model_arena(leat_flow_model(plain)), LEAT_SHAPE(TIMES, 3), NULL);
    for (int i = 0; i < 3 * TIMES; i++)
        units.data[i] = (leat_real)((x.data[i] - mean[i % 3]) / sd[i % 3]);
    leat_flow_set_recompute(flow, how);
    leat_flow_set_recompute(plain, how);
    leat_fit *fit = leat_fit_new(flow, &o);
    o.doubles = (leat_doubles){ 0 };
    o.data = units;
    leat_fit *same = leat_fit_new(plain, &o);
    cr_assert_eq(leat_fit_run(fit), LEAT_OK, "%s", leat_fit_status(fit)->message);
    cr_assert_eq(leat_fit_run(same), LEAT_OK, "%s", leat_fit_status(same)->message);
    const leat_epoch_report *a = leat_fit_get_state(fit).history, *b = leat_fit_get_state(same).history;
    for (int e = 0; e < 3; e++) {
        double log_sd = log(sd[0]) + log(sd[1]) + log(sd[2]);
        cr_assert_lt(fabs(a[e].loss - b[e].loss - log_sd), 1e-9 * fabs(log_sd), "epoch %d", e);
        cr_assert_lt(fabs(a[e].validation - b[e].validation - log_sd), 1e-9 * fabs(log_sd), "epoch %d", e);
    }
}

Test(units, fits_in_double)
{
    fit_in_double(LEAT_RECOMPUTE_NONE);
    fit_in_double(LEAT_RECOMPUTE_FORWARD);
    fit_in_double(LEAT_RECOMPUTE_INVERT);
}

/* ---- bounds and whole numbers ------------------------------------------------------------------------------------ */

static const double lower[4] = { 0, -(double)INFINITY, -2, -(double)INFINITY },
                    upper[4] = { (double)INFINITY, 5, 3, (double)INFINITY };
static const bool whole[4] = { false, false, false, true };

/* Columns above 0, below 5, between -2 and 3, and of whole numbers. */
static leat_doubles edged(void)
{
    static double numbers[4 * TIMES];
    leat_tensor x = test_normal(2, TIMES, 4, 1);
    for (int i = 0; i < 4 * TIMES; i++) {
        double n = (double)x.data[i];
        const double shaped[] = { exp(n), 5 - exp(n / 2), -2 + 5 / (1 + exp(-n)), floor(3 * n) };
        numbers[i] = shaped[i % 4];
    }
    return (leat_doubles){ numbers, TIMES, 4 };
}

static leat_flow *edged_flow(const bool *integers)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 4, .couplings = 2, .hidden = { 8 } });
    leat_standardize_opts o = { .lower = lower, .upper = upper, .whole = integers };
    cr_assert_eq(leat_flow_standardize_doubles(flow, edged(), &o), LEAT_OK, "%s", leat_model_errmsg(m));
    return flow;
}

/* On a tape the standardizer is a transform like any other: the checker compares it with its Jacobian. */
Test(units, bounds_on_a_tape, .init = make_folder, .fini = drop_folder)
{
    leat_flow *flow = edged_flow(NULL);
    leat_doubles d = edged();
    leat_tensor x = leat_tensor_new(leat_model_arena(leat_flow_model(flow)), LEAT_SHAPE(TIMES, 4), NULL);
    leat_status s = { 0 };
    leat_flow_report r;
    double on_tape[TIMES], in_double[TIMES], again[TIMES];
    for (int i = 0; i < 4 * TIMES; i++)
        x.data[i] = (leat_real)d.data[i];
    cr_assert(leat_flow_check(flow, x, NULL, &r), "%s", r.reason);
    leat_tape *tape = test_tape(leat_flow_model(flow));
    cr_assert_eq(leat_flow_score(flow, tape, x, on_tape), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_flow_score_doubles(flow, tape, d, (leat_doubles){ 0 }, in_double), LEAT_OK);
    for (int i = 0; i < TIMES; i++)
        cr_assert_lt(fabs(on_tape[i] - in_double[i]), (sizeof(leat_real) == 8 ? 1e-9 : 1e-3) * (1 + fabs(on_tape[i])));
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *loaded = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(loaded, "%s", s.message);
    cr_assert_eq(leat_flow_score_doubles(loaded, test_tape(leat_flow_model(loaded)), d, (leat_doubles){ 0 }, again),
                 LEAT_OK);
    cr_assert_eq(memcmp(again, in_double, sizeof again), 0);
}

/* The density of a row outside is 0; a decoded row lies inside and, where numbers are whole, has the very ones. */
Test(units, bounds_and_whole_numbers_in_double)
{
    leat_flow *flow = edged_flow(whole);
    leat_tape *tape = test_tape(leat_flow_model(flow));
    leat_doubles d = edged();
    double logdet[TIMES], inverse[TIMES], back[4 * TIMES], scores[4], far[4 * 3];
    leat_real z[4 * TIMES], extreme[4 * 3];
    cr_assert_eq(leat_flow_encode_doubles(flow, tape, d, (leat_doubles){ 0 }, z, logdet), LEAT_OK);
    leat_tensor latents = { z, LEAT_SHAPE(TIMES, 4) };
    cr_assert_eq(leat_flow_decode_doubles(flow, tape, latents, (leat_doubles){ 0 }, back, inverse), LEAT_OK);
    for (int i = 0; i < 4 * TIMES; i++)
        cr_assert_lt(fabs(back[i] - d.data[i]), i % 4 == 3 ? 1e-300 : 1e-4 * (1 + fabs(d.data[i])), "number %d", i);
    for (int i = 0; i < TIMES; i++)
        cr_assert_lt(fabs(logdet[i] + inverse[i]), 1e-4 * (1 + fabs(logdet[i])));
    double rows[] = { 1, 4, 0, 2, 0, 4, 0, 2, 1, 5.5, 0, 2, 1, 4, 3, 2 };
    leat_flow_score_doubles(flow, tape, (leat_doubles){ rows, 4, 4 }, (leat_doubles){ 0 }, scores);
    cr_assert(isfinite(scores[0]));
    for (int i = 1; i < 4; i++)
        cr_assert(isinf(scores[i]) && scores[i] < 0, "row %d: %g", i, scores[i]);
    for (int i = 0; i < 4 * 3; i++)
        extreme[i] = (leat_real)(i / 4 - 1) * 400;
    latents = (leat_tensor){ extreme, LEAT_SHAPE(3, 4) };
    cr_assert_eq(leat_flow_decode_doubles(flow, tape, latents, (leat_doubles){ 0 }, far, NULL), LEAT_OK);
    for (int i = 0; i < 4 * 3; i++)
        cr_assert(i % 4 == 3 || (far[i] > lower[i % 4] && far[i] < upper[i % 4]), "number %d: %g", i, far[i]);
}

/* The probabilities of all whole numbers, with the rest of a row as it is, add up to the density of the rest. */
Test(units, whole_numbers_have_probabilities)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 1));
    double few[3] = { -4, 0, 4 }, all[80], scores[80], sum = 0;
    leat_flow_standardize_doubles(flow, (leat_doubles){ few, 3, 1 }, &(leat_standardize_opts){ .whole = whole + 3 });
    leat_tape *tape = test_tape(m);
    for (int i = 0; i < 80; i++)
        all[i] = i - 40;
    leat_flow_set_points(flow, 200);
    cr_assert_eq(leat_flow_score_doubles(flow, tape, (leat_doubles){ all, 80, 1 }, (leat_doubles){ 0 }, scores),
                 LEAT_OK);
    leat_units u;
    leat_flow_units(flow, &u);
    for (int i = 0; i < 80; i++) {
        double a = (all[i] - u.mean[0]) / u.sd[0], b = (all[i] + 1 - u.mean[0]) / u.sd[0];
        double p = (erf(b / sqrt(2)) - erf(a / sqrt(2))) / 2;
        sum += exp(scores[i]);
        cr_assert_lt(fabs(exp(scores[i]) - p), 1e-4, "%g: %g, not %g", all[i], exp(scores[i]), p);
    }
    cr_assert_lt(fabs(sum - 1), 1e-4);
}

/* What columns cannot be standardized by, with the place that the message names. */
Test(units, refused_to_standardize_by)
{
    enum { EACH = 4, KINDS = 6 };
    static const double low[] = { 0, 0, 0 }, high[] = { 1, 9, 9 };
    static const bool wholes[] = { false, true, false };
    static const struct {
        double columns[3 * EACH];
        bool bounds, upper_too;
        const char *words;
    } cases[KINDS] = {
        { { .1, 1, 1, .2, 2, 2, 1.5, 3, 3, .4, 4, 4 },
          true,
          true,
          "row 3, column 1 is 1.5, not inside of its bounds, 0 and 1" },
        { { .1, 1, 1, .2, 2, 2, .3, 3, 0, .4, 4, 4 },
          true,
          true,
          "row 3, column 3 is 0, not inside of its bounds, 0 and 9" },
        { { .1, 1, 1, .2, 2.5, 2, .3, 3, 3, .4, 4, 4 }, true, true, "row 2, column 2 is 2.5, no whole number" },
        { { .1, 1, 1, .2, 2, 2, .3, 3, 3, .4, 4, (double)NAN }, true, true, "row 4, column 3 is nan" },
        { { .1, 1, 1, .2, 2, 2, .3, 3, 3, .4, 4, 4 }, true, false, "from below and from above" },
        { { .1, 1, 1, .2, 2, 1, .3, 3, 1, .4, 4, 1 }, false, false, "column 3 is constant: each of 4 rows has 1" },
    };
    for (int i = 0; i < KINDS; i++) {
        double numbers[3 * EACH];
        memcpy(numbers, cases[i].columns, sizeof numbers);
        leat_flow *flow = realnvp(test_model(0), 0);
        leat_standardize_opts o = { .lower = cases[i].bounds ? low : NULL,
                                    .upper = cases[i].upper_too ? high : NULL,
                                    .whole = wholes };
        cr_assert_neq(leat_flow_standardize_doubles(flow, (leat_doubles){ numbers, EACH, 3 }, &o), LEAT_OK, "%d", i);
        const char *message = leat_model_errmsg(leat_flow_model(flow));
        cr_assert(strstr(message, cases[i].words), "%d: %s", i, message);
    }
}
