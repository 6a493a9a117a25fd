/* Many rows: encode, decode, score and draw, by chunks and with a context, and that a row depends on itself alone. */
#include "support.h"
#include "../../nn/model.h"

static const leat_tensor none;

enum { ROWS = 5000, DIM = 3, CONTEXT = 2 };

static leat_flow *conditional(leat_model *m, int64_t context)
{
    leat_flow *flow = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = DIM,
                                                                .couplings = 4,
                                                                .hidden = { 13, 6 },
                                                                .context = context,
                                                                .base = context ? leat_logistic(m, DIM) : NULL });
    assert_model(m);
    randomize(m, 0.5);
    return flow;
}

static leat_tensor rows_of(leat_tensor t, int64_t first, int64_t n)
{
    return (leat_tensor){ t.data + first * t.shape.size[1], LEAT_SHAPE(n, t.shape.size[1]) };
}

static double *numbers(int64_t n)
{
    return leat_arena_alloc(test_arena(), (size_t)n * sizeof(double));
}

static void expect_ok(leat_code code, const leat_tape *tape)
{
    cr_assert_eq(code, LEAT_OK, "%s", leat_tape_errmsg(tape));
}

/* Rows that overflow have no density; NaN is for what is to blame itself: a row, a context, a weight. */
Test(many, far_rows)
{
    const leat_scale_map maps[] = { LEAT_SCALE_TANH, LEAT_SCALE_FREE };
    const double huge = sizeof(leat_real) == 8 ? 1e308 : 3e38;
    for (int k = 0; k < 3; k++) {
        leat_model *m = test_model(5);
        leat_flow *flow =
            k == 2 ? leat_nice_new(m, &(leat_nice_opts){ .dim = DIM, .couplings = 4, .hidden = { 13 } })
                   : leat_realnvp_new(
                         m, &(leat_realnvp_opts){
                                .dim = DIM, .couplings = 4, .hidden = { 13 }, .scale = maps[k], .context = CONTEXT });
        assert_model(m);
        randomize(m, 0.3);
        leat_tape *tape = test_tape(m);
        double far[] = { 1, 100, 1e4, 1e19, huge, -huge }, scores[6];
        leat_tensor x = test_tensor(6, DIM), c = test_normal(2, 6, CONTEXT, 1);
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < DIM; j++)
                x.data[i * DIM + j] = (leat_real)((j % 2 ? -1 : 1) * far[i]);
        c = k == 2 ? none : c;
        expect_ok(leat_flow_score_given(flow, tape, x, c, scores), tape);
        cr_assert(isfinite(scores[0]));
        for (int i = 1; i < 6; i++)
            cr_expect(scores[i] < scores[0], "flow %d, %g: %g", k, far[i], scores[i]);
        cr_expect_eq(scores[4], -(double)INFINITY);
        cr_expect_eq(scores[5], -(double)INFINITY);
        if (k < 2) {
            c.data[0] = (leat_real)NAN;
            x.data[DIM] = (leat_real)NAN;
            expect_ok(leat_flow_score_given(flow, tape, x, c, scores), tape);
            cr_expect(isnan(scores[0]) && isnan(scores[1]) && !isnan(scores[2]));
        }
        m->params->leaf.value[0] = (leat_real)NAN;
        expect_ok(leat_flow_score_given(flow, tape, x, c, scores), tape);
        cr_expect(isnan(scores[4]));
        leat_model_free(m);
    }
}

/* The chunks are of 2048 rows; whole tensors go through in one. */
Test(many, same_as_in_one)
{
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(5);
        leat_flow *flow = conditional(m, k ? CONTEXT : 0);
        leat_tape *tape = test_tape(m);
        leat_tensor x = test_normal(1, ROWS, DIM, 1), c = k ? test_normal(2, ROWS, CONTEXT, 1) : none;
        leat_tensor z = test_tensor(ROWS, DIM), back = test_tensor(ROWS, DIM);
        double *there = numbers(ROWS), *again = numbers(ROWS), *scores = numbers(ROWS);
        expect_ok(leat_flow_encode(flow, tape, x, c, z.data, there), tape);
        expect_ok(leat_flow_decode(flow, tape, z, c, back.data, again), tape);
        expect_ok(leat_flow_score_given(flow, tape, x, c, scores), tape);
        leat_tape_reset(tape);
        leat_var given = k ? leat_const(tape, c) : (leat_var){ 0 };
        leat_pair whole = leat_flow_forward_given(flow, leat_const(tape, x), given);
        leat_tensor score = leat_value(leat_flow_log_prob_given(flow, leat_const(tape, x), given));
        assert_tape(tape);
        assert_near(z, leat_value(whole.y), 0, 1, "z");
        assert_near(back, x, 100 * CLOSE, 1, "round trip");
        for (int i = 0; i < ROWS; i++) {
            cr_assert_eq(there[i], (double)leat_value(whole.logdet).data[i]);
            cr_assert_eq(scores[i], (double)score.data[i]);
            cr_assert(fabs(there[i] + again[i]) <= 100 * CLOSE);
        }
        leat_model_free(m);
    }
}

static const int64_t parts[][2] = { { 0, 1 }, { 17, 1 }, { 2047, 2 }, { 2048, 2048 }, { 100, 4000 }, { 4999, 1 } };

Test(many, a_row_depends_on_itself_alone)
{
    leat_model *m = test_model(5);
    leat_flow *flow = conditional(m, CONTEXT);
    leat_tape *tape = test_tape(m);
    leat_tensor x = test_normal(1, ROWS, DIM, 1), c = test_normal(2, ROWS, CONTEXT, 1), z = test_tensor(ROWS, DIM);
    double *logdet = numbers(ROWS), *scores = numbers(ROWS);
    expect_ok(leat_flow_encode(flow, tape, x, c, z.data, logdet), tape);
    expect_ok(leat_flow_score_given(flow, tape, x, c, scores), tape);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int64_t first = parts[i][0], n = parts[i][1];
        leat_tensor part = test_tensor(n, DIM);
        double *part_logdet = numbers(n), *part_scores = numbers(n);
        expect_ok(leat_flow_encode(flow, tape, rows_of(x, first, n), rows_of(c, first, n), part.data, part_logdet),
                  tape);
        expect_ok(leat_flow_score_given(flow, tape, rows_of(x, first, n), rows_of(c, first, n), part_scores), tape);
        cr_assert_eq(memcmp(part.data, z.data + first * DIM, (size_t)(n * DIM) * sizeof(leat_real)), 0, "part %zu", i);
        cr_assert_eq(memcmp(part_logdet, logdet + first, (size_t)n * sizeof(double)), 0, "part %zu", i);
        cr_assert_eq(memcmp(part_scores, scores + first, (size_t)n * sizeof(double)), 0, "part %zu", i);
    }
    leat_model_free(m);
}

/* Rows A:B drawn alone, on a tape that has been used for something else, are those of one run. */
Test(many, a_draw_depends_on_its_number_alone)
{
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(5);
        leat_flow *flow = conditional(m, k ? CONTEXT : 0);
        leat_tape *tape = test_tape(m), *used = test_tape(m);
        leat_tensor c = k ? test_normal(2, ROWS, CONTEXT, 1) : none, x = test_tensor(ROWS, DIM);
        expect_ok(leat_flow_draw_rows(flow, tape, 0, ROWS, 0.7, c, x.data), tape);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            int64_t first = parts[i][0], n = parts[i][1];
            leat_tensor part = test_tensor(n, DIM);
            expect_ok(leat_flow_draw_rows(flow, used, first, n, 0.7, k ? rows_of(c, first, n) : none, part.data), used);
            cr_assert_eq(memcmp(part.data, x.data + first * DIM, (size_t)(n * DIM) * sizeof(leat_real)), 0, "part %zu",
                         i);
        }
        if (!k) { /* and those that a fresh tape draws one after the other */
            leat_tape *fresh = test_tape(m);
            leat_tensor part = test_tensor(ROWS, DIM);
            expect_ok(leat_flow_draw(flow, fresh, 3000, 0.7, part.data), fresh);
            expect_ok(leat_flow_draw(flow, fresh, 2000, 0.7, part.data + 3000 * DIM), fresh);
            assert_near(part, x, 0, 1, "draw");
        }
        leat_model_free(m);
    }
}

Test(many, draws_of_other_rows_differ)
{
    leat_model *m = test_model(5);
    leat_flow *flow = conditional(m, 0);
    leat_tape *tape = test_tape(m);
    leat_real x[2][DIM];
    expect_ok(leat_flow_draw_rows(flow, tape, 7, 1, 1, none, x[0]), tape);
    expect_ok(leat_flow_draw_rows(flow, tape, (int64_t)1 << 60, 1, 1, none, x[1]), tape);
    cr_assert_neq(memcmp(x[0], x[1], sizeof x[0]), 0);
    leat_model_free(m);
}

Test(many, what_is_not_wanted_may_be_null)
{
    leat_model *m = test_model(5);
    leat_flow *flow = conditional(m, 0);
    leat_tape *tape = test_tape(m);
    leat_tensor x = test_normal(1, 7, DIM, 1), z = test_tensor(7, DIM);
    double logdet[7];
    expect_ok(leat_flow_encode(flow, tape, x, none, z.data, NULL), tape);
    expect_ok(leat_flow_encode(flow, tape, x, none, NULL, logdet), tape);
    expect_ok(leat_flow_decode(flow, tape, z, none, NULL, NULL), tape);
    expect_ok(leat_flow_encode(flow, tape, (leat_tensor){ NULL, LEAT_SHAPE(0, DIM) }, none, NULL, NULL), tape);
    expect_ok(leat_flow_draw_rows(flow, tape, 3, 0, 1, none, NULL), tape);
    cr_assert(leat_tape_recording(tape) && leat_tape_training(tape));
    leat_model_free(m);
}

/* ---- a base of another appetite ---------------------------------------------------------------------------------- */

/* Two random numbers for each feature; `honest` says so. */
typedef struct greedy {
    leat_base base;
    bool honest;
} greedy;

static leat_var greedy_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    leat_var both = leat_randn(t, LEAT_SHAPE(n, 2 * b->dim));
    return leat_mul_scalar(leat_add(leat_slice(both, -1, 0, b->dim), leat_slice(both, -1, b->dim, b->dim)),
                           temperature);
}

static int64_t greedy_numbers(const leat_base *b)
{
    return ((const greedy *)b)->honest ? 2 * b->dim : b->dim;
}

static const leat_base_type greedy_type = { .module = { .name = "greedy" },
                                            .sample = greedy_sample,
                                            .numbers_per_row = greedy_numbers };

Test(many, a_base_says_how_many_numbers_it_takes)
{
    for (int honest = 0; honest < 2; honest++) {
        leat_model *m = test_model(5);
        greedy *base = leat_module_new(m, &greedy_type.module, sizeof *base);
        base->base.dim = 2;
        base->honest = honest;
        leat_flow *flow = leat_flow_new(m, &base->base);
        leat_tape *tape = test_tape(m);
        leat_real x[10][2], row[2];
        leat_code code = leat_flow_draw_rows(flow, tape, 0, 10, 1, none, &x[0][0]);
        cr_assert_eq(code, honest ? LEAT_OK : LEAT_ESTATE, "%s", leat_tape_errmsg(tape));
        if (honest) {
            expect_ok(leat_flow_draw_rows(flow, tape, 6, 1, 1, none, row), tape);
            cr_assert_eq(memcmp(row, x[6], sizeof row), 0);
        } else {
            assert_contains(leat_tape_errmsg(tape), "took 4 random numbers, and its parts say 2");
        }
        leat_model_free(m);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const struct {
    int64_t rows, context_rows, context_columns; /* 0 columns: none */
    bool conditional;
    const char *says;
} misfits[] = {
    { 3000, 2999, 2, true, "[2999,2]" }, { 3000, 2048, 2, true, "[2048,2]" },   { 3000, 3000, 3, true, "[64,3]" },
    { 5, 0, 0, true, "no context" },     { 5, 5, 2, false, "not conditional" },
};

Test(many, contexts_refused)
{
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++) {
        leat_model *m = test_model(5);
        leat_flow *flow = conditional(m, misfits[i].conditional ? 2 : 0);
        leat_tape *tape = test_tape(m);
        leat_tensor x = test_normal(1, misfits[i].rows, DIM, 1), c = none, out = test_tensor(misfits[i].rows, DIM);
        if (misfits[i].context_columns)
            c = test_normal(2, misfits[i].context_rows, misfits[i].context_columns, 1);
        cr_assert_eq(leat_flow_score_given(flow, tape, x, c, numbers(misfits[i].rows)), LEAT_ESHAPE);
        assert_contains(leat_tape_errmsg(tape), misfits[i].says);
        cr_assert_eq(leat_flow_encode(flow, tape, x, c, out.data, NULL), LEAT_ESHAPE);
        cr_assert_eq(leat_flow_draw_rows(flow, tape, 0, misfits[i].rows, 1, c, out.data), LEAT_ESHAPE);
        leat_model_free(m);
    }
}

Test(many, other_refusals)
{
    leat_model *m = test_model(5);
    leat_flow *flow = conditional(m, 0);
    leat_tape *tape = test_tape(m);
    leat_real out[6];
    cr_assert_eq(leat_flow_encode(flow, tape, none, none, out, NULL), LEAT_ESHAPE);
    cr_assert_eq(leat_flow_decode(flow, tape, test_normal(1, 2, 4, 1), none, out, NULL), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(tape), "[2,4]");
    cr_assert_eq(leat_flow_draw_rows(flow, tape, -1, 2, 1, none, out), LEAT_EARG);
    assert_contains(leat_tape_errmsg(tape), "-1");
    cr_assert_eq(leat_flow_draw_rows(flow, tape, 0, -2, 1, none, out), LEAT_EARG);
    cr_assert_eq(leat_flow_draw_rows(flow, tape, 0, 2, -1, none, out), LEAT_EARG);
    cr_assert_eq(leat_flow_score(NULL, tape, test_normal(1, 2, 3, 1), numbers(2)), LEAT_ESTATE);
    cr_assert_eq(leat_flow_draw(NULL, tape, 2, 1, out), LEAT_ESTATE);
    leat_model_free(m);
}
