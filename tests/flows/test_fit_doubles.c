/* Fits of rows in double: their losses are the flow's own scores in the data's units, whole numbers get other noise in
 * every epoch, a resumed run has the bits of one that never stopped, and other rows or units are refused. */
#include "fit_support.h"

#include <unistd.h>

enum { ROWS = 150 };

/* A share between 0 and 1, and a whole number from 0 to 9 that follows it. */
static leat_doubles rows_of(uint64_t seed)
{
    double *x = leat_arena_alloc(test_arena(), 2 * ROWS * sizeof *x);
    leat_rng rng = leat_rng_new(seed, 79);
    for (int64_t i = 0; i < ROWS; i++) {
        double share = 1 / (1 + exp(-leat_rng_normal(&rng)));
        x[2 * i] = share;
        x[2 * i + 1] = (double)(int)fmin(9, 10 * share * leat_rng_uniform(&rng));
    }
    return (leat_doubles){ x, ROWS, 2 };
}

static const double lower[] = { 0, 0 }, upper[] = { 1, 9 }, higher[] = { 1, 10 };
static const bool whole[] = { false, true };

typedef struct fitted {
    leat_model *model;
    leat_flow *flow;
    leat_fit *fit;
} fitted;

static leat_flow *flow_for(leat_model *m, leat_doubles x, leat_doubles context, bool with_whole, const double *top)
{
    leat_flow *flow = fit_flow(m, context.columns, false);
    leat_standardize_opts o = { .context = context, .lower = lower, .upper = top, .whole = with_whole ? whole : NULL };
    cr_assert_eq(leat_flow_standardize_doubles(flow, x, &o), LEAT_OK, "%s", leat_model_errmsg(m));
    return flow;
}

static fitted fit_of(leat_doubles x, leat_doubles context, bool with_whole, leat_fit_opts o)
{
    leat_model *m = test_model(3);
    fitted r = { m, flow_for(m, x, context, with_whole, upper), NULL };
    o.doubles = x;
    o.context_doubles = context;
    o.batch = 50;
    o.seed = 4;
    r.fit = leat_fit_new(r.flow, &o);
    cr_assert_not_null(r.fit);
    return r;
}

/* Whole numbers as reals, strictly inside of the bounds. */
static leat_doubles shifted(leat_doubles x)
{
    for (int64_t i = 0; i < x.rows; i++)
        x.data[2 * i + 1] = 0.5 + 0.8 * x.data[2 * i + 1];
    return x;
}

/* With steps that change nothing, an epoch's loss is minus the mean score, in the data's units. */
Test(fit_doubles, the_loss_is_the_score)
{
    leat_doubles x = shifted(rows_of(1)), none = { 0 }, context = rows_of(2);
    for (int k = 0; k < 2; k++) {
        fitted r = fit_of(x, k ? context : none, false, (leat_fit_opts){ .epochs = 2, .lr = 1e-30 });
        double scores[ROWS], mean = 0;
        cr_assert_eq(leat_fit_run(r.fit), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
        cr_assert_eq(leat_flow_score_doubles(r.flow, test_tape(r.model), x, k ? context : none, scores), LEAT_OK);
        for (int i = 0; i < ROWS; i++)
            mean += scores[i] / ROWS;
        const leat_epoch_report *h = leat_fit_get_state(r.fit).history;
        cr_assert_lt(fabs(h[0].loss + mean), CLOSE * (1 + fabs(mean)), "%.9g, not %.9g", h[0].loss, -mean);
        cr_assert_lt(fabs(h[0].loss - h[1].loss), CLOSE * (1 + fabs(mean)));
        leat_model_free(r.model);
    }
}

/* Of whole numbers the loss is another in every epoch, near that of the scores, which are means over points. */
Test(fit_doubles, whole_numbers_get_new_noise)
{
    leat_doubles x = rows_of(1), none = { 0 };
    fitted r = fit_of(x, none, true, (leat_fit_opts){ .epochs = 3, .lr = 1e-30, .validation = 0.2 });
    cr_assert_eq(leat_fit_run(r.fit), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
    const leat_epoch_report *h = leat_fit_get_state(r.fit).history;
    bool held[ROWS];
    double scores[ROWS], mean = 0, held_mean = 0;
    int64_t n = leat_fit_get_state(r.fit).validation_rows;
    held_rows(4, ROWS, n, held);
    cr_assert_eq(leat_flow_score_doubles(r.flow, test_tape(r.model), x, none, scores), LEAT_OK);
    for (int i = 0; i < ROWS; i++) {
        mean += held[i] ? 0 : scores[i] / (double)(ROWS - n);
        held_mean += held[i] ? scores[i] / (double)n : 0;
    }
    for (int e = 0; e < 3; e++) {
        cr_assert_lt(fabs(h[e].loss + mean), 0.3, "epoch %d: %g, not %g", e, h[e].loss, -mean);
        cr_assert_lt(fabs(h[e].validation + held_mean), 0.3, "epoch %d: %g, not %g", e, h[e].validation, -held_mean);
        cr_assert_gt(fabs(h[e].loss - h[(e + 1) % 3].loss), 1e-4);
        cr_assert_lt(fabs(h[e].validation - h[0].validation), 1e-9, "those held out keep their noise");
    }
}

Test(fit_doubles, a_resumed_run_has_the_same_bits)
{
    leat_doubles x = rows_of(1), context = rows_of(2);
    char path[] = "/tmp/leat-doubles-XXXXXX";
    int fd = mkstemp(path);
    leat_status s = { 0 };
    cr_assert(fd >= 0 && close(fd) == 0);
    fitted all = fit_of(x, context, true, (leat_fit_opts){ .epochs = 4, .validation = 0.2 });
    cr_assert_eq(leat_fit_run(all.fit), LEAT_OK);
    fitted half = fit_of(x, context, true, (leat_fit_opts){ .epochs = 2, .validation = 0.2 });
    cr_assert_eq(leat_fit_run(half.fit), LEAT_OK);
    cr_assert_eq(leat_fit_save(half.fit, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    fitted rest = fit_of(x, context, true, (leat_fit_opts){ .epochs = 4, .validation = 0.2 });
    cr_assert_eq(leat_fit_resume(rest.fit, path, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_fit_run(rest.fit), LEAT_OK);
    assert_same_history(all.fit, rest.fit);
    cr_assert_eq(leat_model_hash(all.model), leat_model_hash(rest.model));

    /* One number, or a context's, is another; or the units are. */
    for (int k = 0; k < 3; k++) {
        leat_doubles others[] = { rows_of(1), rows_of(2) };
        if (k < 2)
            others[k].data[2 * ROWS - 1] = others[k].data[2 * ROWS - 1] == 3 ? 4 : 3;
        leat_model *m = test_model(3);
        leat_flow *flow = flow_for(m, x, context, true, k == 2 ? higher : upper);
        leat_fit *fit = leat_fit_new(flow, &(leat_fit_opts){ .doubles = others[0],
                                                             .context_doubles = others[1],
                                                             .epochs = 4,
                                                             .validation = 0.2,
                                                             .batch = 50,
                                                             .seed = 4 });
        s = (leat_status){ 0 };
        cr_assert_eq(leat_fit_resume(fit, path, &s), LEAT_EARG, "%d: %s", k, s.message);
        cr_assert(strstr(s.message, "other data"), "%s", s.message);
    }
    remove(path);
}

Test(fit_doubles, refuses_what_does_not_fit)
{
    leat_doubles x = rows_of(1), none = { 0 };
    leat_model *m = test_model(3);
    leat_flow *flow = flow_for(m, x, none, true, upper);
    double outside[] = { 0.5, 3, 0.5, 4, 2, 5 };
    leat_fit *fit = leat_fit_new(flow, &(leat_fit_opts){ .doubles = { outside, 3, 2 }, .epochs = 1 });
    cr_assert_eq(leat_fit_status(fit)->code, LEAT_EARG);
    cr_assert(strstr(leat_fit_status(fit)->message, "row 3"), "%s", leat_fit_status(fit)->message);
    fit = leat_fit_new(flow, &(leat_fit_opts){ .doubles = { outside, 2, 3 }, .epochs = 1 });
    cr_assert_eq(leat_fit_status(fit)->code, LEAT_ESHAPE);
    cr_assert(strstr(leat_fit_status(fit)->message, "3 columns"), "%s", leat_fit_status(fit)->message);
    fit = leat_fit_new(flow, &(leat_fit_opts){ .doubles = x, .context_doubles = { outside, ROWS, 2 }, .epochs = 1 });
    cr_assert_eq(leat_fit_status(fit)->code, LEAT_ESHAPE);
}
