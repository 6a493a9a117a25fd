/* The chain: trace, sampling, both directions, memory, draws in chunks, reverse KL. */
#include "support.h"

static const leat_var none;

static leat_flow *affine_flow(leat_model *m, leat_base *base, int couplings)
{
    leat_flow *flow = leat_flow_new(m, base);
    for (int i = 0; i < couplings; i++) {
        leat_mask mask = leat_mask_alternating(m, base->dim, i);
        leat_flow_add(flow, leat_coupling(m, mask, &test_affine, test_net(m, &mask, 0, 2)));
    }
    leat_flow_add(flow, leat_diagonal_scale(m, base->dim));
    assert_model(m);
    randomize(m, 0.4);
    return flow;
}

Test(flow, parts)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 5, .couplings = 3, .reverse = true, .scale = true });
    cr_assert_eq(leat_flow_dim(flow), 5);
    cr_assert_eq(leat_flow_length(flow), 7);
    cr_assert_eq(leat_flow_model(flow), m);
    cr_assert_str_eq(leat_flow_layer(flow, 0)->module.type->name, "coupling");
    cr_assert_str_eq(leat_flow_layer(flow, 5)->module.type->name, "reverse");
    cr_assert_str_eq(leat_flow_layer(flow, 6)->module.type->name, "diagonal_scale");
    leat_model_free(m);
}

/* 6 couplings of 1 -> 128 -> 128 -> 1, as the notebook counts them */
Test(flow, nice_by_default)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 2 });
    cr_assert_eq(leat_flow_length(flow), 6);
    cr_assert_eq(leat_param_count(m), 6 * (128 + 128 + 128 * 128 + 128 + 128 + 1));
    cr_assert_not_null(leat_find_param(m, "layers.5.net.4.bias"));
    cr_assert_null(leat_find_param(m, "layers.6.net.0.bias"));
    leat_model_free(m);
}

Test(flow, no_layers)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 2));
    leat_tape *tape = test_tape(m);
    leat_tensor x = test_normal(1, 4, 2, 1);
    leat_pair z = leat_flow_forward(flow, leat_const(tape, x));
    assert_tape(tape);
    assert_near(leat_value(z.y), x, 0, 1, "z");
    leat_model_free(m);
}

/* ---- trace ------------------------------------------------------------------------------------------------------- */

Test(flow, trace_adds_up)
{
    leat_model *m = test_model(0);
    leat_base *base = leat_diagonal_normal(m, 3);
    leat_flow *flow = affine_flow(m, base, 4);
    leat_tape *tape = test_tape(m);
    leat_var x = leat_const(tape, test_normal(1, 8, 3, 1));
    leat_pair steps[5], whole = leat_flow_forward(flow, x);
    leat_var log_prob = leat_flow_log_prob(flow, x);
    cr_assert_eq(leat_flow_trace(flow, x, none, steps), LEAT_OK, "%s", leat_tape_errmsg(tape));
    leat_tensor prior = leat_value(leat_base_log_prob(base, steps[4].y, none));
    assert_near(leat_value(steps[4].y), leat_value(whole.y), 0, 1, "z");
    for (int i = 0; i < 8; i++) {
        double sum = 0;
        for (int k = 0; k < 5; k++) {
            leat_tensor logdet = leat_value(steps[k].logdet);
            cr_assert(logdet.shape.rank == 1 && logdet.shape.size[0] == 8);
            cr_assert_neq(logdet.data[i], 0);
            sum += (double)logdet.data[i];
        }
        cr_assert(fabs(sum - (double)leat_value(whole.logdet).data[i]) <= CLOSE);
        cr_assert(fabs(sum + (double)prior.data[i] - (double)leat_value(log_prob).data[i]) <= CLOSE);
    }
    leat_model_free(m);
}

/* ---- both directions --------------------------------------------------------------------------------------------- */

Test(flow, sample_and_its_density)
{
    leat_model *m = test_model(0);
    leat_flow *flow = affine_flow(m, leat_logistic(m, 3), 4);
    leat_tape *tape = test_tape(m), *other = test_tape(m);
    leat_var log_prob, x = leat_flow_sample_log_prob(flow, tape, 500, &log_prob);
    leat_var again = leat_flow_log_prob(flow, leat_const(tape, leat_value(x)));
    leat_var same = leat_flow_sample(flow, other, 500, 1);
    assert_tape(tape);
    assert_tape(other);
    assert_near(leat_value(log_prob), leat_value(again), CLOSE, 1, "log_prob of the sample");
    assert_near(leat_value(same), leat_value(x), 0, 1, "sample without its density");
    leat_model_free(m);
}

/* sample = inverse of the base's draw, at any temperature */
Test(flow, temperature)
{
    leat_model *m = test_model(0);
    leat_base *base = leat_normal(m, 3);
    leat_flow *flow = affine_flow(m, base, 2);
    leat_tape *one = test_tape(m), *other = test_tape(m);
    leat_var x = leat_flow_sample(flow, one, 50, 0.5);
    leat_var z = leat_base_sample(base, other, 50, 0.5, none);
    leat_tensor expected = leat_value(leat_flow_inverse(flow, z).y);
    assert_tape(one);
    assert_tape(other);
    assert_near(leat_value(x), expected, 0, 1, "sample");

    leat_tape *bad = test_tape(m);
    cr_assert_not(leat_ok(leat_flow_sample(flow, bad, 5, -1)));
    cr_assert_eq(leat_tape_code(bad), LEAT_EARG);
    leat_model_free(m);
}

Test(flow, negative_count_refused)
{
    leat_model *m = test_model(0);
    leat_flow *flow = affine_flow(m, leat_normal(m, 3), 2);
    leat_tape *tape = test_tape(m);
    leat_real out[3];
    cr_assert_not(leat_ok(leat_flow_sample(flow, tape, -1, 1)));
    cr_assert_eq(leat_tape_code(tape), LEAT_EARG);
    leat_tape_reset(tape);
    cr_assert_neq(leat_flow_draw(flow, tape, -1, 1, out), LEAT_OK);
    leat_model_free(m);
}

Test(flow, no_rows)
{
    leat_model *m = test_model(0);
    leat_flow *flow = affine_flow(m, leat_normal(m, 3), 2);
    leat_tape *tape = test_tape(m);
    leat_var log_prob = leat_flow_log_prob(flow, leat_const(tape, test_tensor(0, 3)));
    leat_var x = leat_flow_sample(flow, tape, 0, 1);
    assert_tape(tape);
    cr_assert_eq(leat_var_size(log_prob, 0), 0);
    cr_assert(leat_var_size(x, 0) == 0 && leat_var_size(x, 1) == 3);
    cr_assert_eq(leat_flow_draw(flow, tape, 0, 1, NULL), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_flow_score(flow, tape, test_tensor(0, 3), NULL), LEAT_OK, "%s", leat_tape_errmsg(tape));
    leat_model_free(m);
}

Test(flow, a_flow_that_could_not_be_built)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = -2 });
    cr_assert_eq(leat_model_code(m), LEAT_EARG);
    leat_tape *tape = leat_tape_new(NULL);
    cr_assert_not(leat_ok(leat_flow_log_prob(flow, leat_const(tape, test_normal(1, 3, 2, 1)))));
    cr_assert_neq(leat_tape_code(tape), LEAT_OK);
    assert_contains(leat_tape_errmsg(tape), leat_model_errmsg(m));
    leat_tape_free(tape);
    leat_model_free(m);
}

/* ---- any number of rows ------------------------------------------------------------------------------------------ */

enum { MANY = 20011 };

static leat_flow *drawing_flow(leat_model *m, int base)
{
    return affine_flow(m, base ? leat_logistic(m, 3) : leat_normal(m, 3), 3);
}

/* All at once, by draw in one call, by draw in uneven calls, with three threads: the same numbers. */
Test(flow, draws_do_not_depend_on_chunks_or_threads)
{
    static const int64_t cuts[] = { 0, 1, 4096, 4097, 12345, MANY };
    for (int base = 0; base < 2; base++) {
        leat_model *m = test_model(5), *wide = leat_model_new(&(leat_model_opts){ .seed = 5, .threads = 3 });
        leat_flow *flow = drawing_flow(m, base);
        leat_tape *tape = test_tape(m);
        leat_tensor at_once = leat_value(leat_flow_sample(flow, tape, MANY, 1)), drawn = test_tensor(MANY, 3);
        assert_tape(tape);

        cr_assert_eq(leat_flow_draw(flow, test_tape(m), MANY, 1, drawn.data), LEAT_OK);
        assert_near(drawn, at_once, 0, 1, "draw");

        leat_tape *cut = test_tape(m);
        memset(drawn.data, 0, MANY * 3 * sizeof(leat_real));
        for (int i = 0; i < 5; i++)
            cr_assert_eq(leat_flow_draw(flow, cut, cuts[i + 1] - cuts[i], 1, drawn.data + 3 * cuts[i]), LEAT_OK);
        assert_near(drawn, at_once, 0, 1, "draw in pieces");

        memset(drawn.data, 0, MANY * 3 * sizeof(leat_real));
        cr_assert_eq(leat_flow_draw(drawing_flow(wide, base), test_tape(wide), MANY, 1, drawn.data), LEAT_OK);
        assert_near(drawn, at_once, 0, 1, "draw with three threads");
        leat_model_free(wide);
        leat_model_free(m);
    }
}

Test(flow, scores_do_not_depend_on_chunks)
{
    leat_model *m = test_model(5);
    leat_flow *flow = drawing_flow(m, 0);
    leat_tape *tape = test_tape(m);
    leat_tensor x = test_normal(1, MANY, 3, 1);
    double *scores = leat_arena_alloc(test_arena(), MANY * sizeof *scores);
    cr_assert_eq(leat_flow_score(flow, tape, x, scores), LEAT_OK, "%s", leat_tape_errmsg(tape));
    leat_tape_reset(tape);
    leat_tensor log_prob = leat_value(leat_flow_log_prob(flow, leat_const(tape, x)));
    assert_tape(tape);
    for (int i = 0; i < MANY; i++)
        cr_assert(fabs(scores[i] - (double)log_prob.data[i]) <= CLOSE * fmax(1, fabs(scores[i])), "row %d", i);
    leat_model_free(m);
}

/* The first rows go through alone, to see what memory they take: nothing is written behind the last. */
Test(flow, few_rows_write_no_more_than_theirs)
{
    leat_model *m = test_model(5);
    leat_flow *flow = drawing_flow(m, 0);
    leat_tape *tape = test_tape(m);
    double scores[132];
    for (int rows = 1; rows <= 130; rows++) {
        scores[rows] = 42;
        cr_assert_eq(leat_flow_score(flow, tape, test_normal(1, rows, 3, 1), scores), LEAT_OK);
        cr_assert(scores[rows] == 42 && scores[rows - 1] != 42, "%d rows", rows);
    }
    leat_model_free(m);
}

/* Afterwards the tape records again, if it did before. */
Test(flow, drawing_leaves_the_mode_of_the_tape)
{
    leat_model *m = test_model(5);
    leat_flow *flow = drawing_flow(m, 0);
    leat_tape *tape = test_tape(m);
    leat_real out[15];
    double scores[5];
    cr_assert_eq(leat_flow_draw(flow, tape, 5, 1, out), LEAT_OK);
    cr_assert_eq(leat_flow_score(flow, tape, (leat_tensor){ out, LEAT_SHAPE(5, 3) }, scores), LEAT_OK);
    cr_assert(leat_tape_recording(tape) && leat_tape_training(tape));
    leat_model_free(m);
}

Test(flow, score_refuses_other_widths)
{
    leat_model *m = test_model(5);
    leat_flow *flow = drawing_flow(m, 0);
    leat_tape *tape = test_tape(m);
    double scores[5];
    cr_assert_eq(leat_flow_score(flow, tape, test_normal(1, 5, 2, 1), scores), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(tape), "[5,2]");
    leat_model_free(m);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static size_t peak_of(int couplings, bool inverse)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 4, .couplings = couplings, .hidden = { 32, 32 } });
    leat_tape *tape = leat_model_tape(m, &(leat_tape_opts){ .values_only = true });
    leat_var x = leat_const(tape, test_normal(1, 1000, 4, 1));
    leat_pair z = inverse ? leat_flow_inverse(flow, x) : leat_flow_forward(flow, x);
    assert_tape(tape);
    cr_assert(leat_ok(z.y));
    size_t peak = leat_tape_get_stats(tape).peak_bytes;
    leat_model_free(m);
    return peak;
}

Test(flow, memory_is_that_of_the_largest_transform)
{
    for (int k = 0; k < 2; k++) {
        size_t few = peak_of(2, k), many = peak_of(60, k);
        cr_assert_leq(many, few, "%zu bytes for 60 couplings, %zu for 2", many, few);
        cr_assert_geq(few, 1000 * 32 * sizeof(leat_real));
    }
}

Test(flow, values_are_the_same_without_recording)
{
    leat_model *m = test_model(0);
    leat_flow *flow = affine_flow(m, leat_logistic(m, 3), 4);
    leat_tape *recording = test_tape(m), *bare = leat_model_tape(m, &(leat_tape_opts){ .values_only = true });
    leat_tensor x = test_normal(1, 100, 3, 1);
    leat_var a = leat_flow_log_prob(flow, leat_const(recording, x)), b = leat_flow_log_prob(flow, leat_const(bare, x));
    assert_tape(bare);
    assert_near(leat_value(b), leat_value(a), 0, 1, "log_prob");
    leat_model_free(m);
}

/* ---- reverse KL -------------------------------------------------------------------------------------------------- */

/* E_q[log q(x) - log p(x)], p = N((1, -2), diag(4, 1/4)) up to a constant; the same draws each time */
static leat_var reverse_kl(leat_flow *flow, leat_tape *tape, int64_t n)
{
    leat_var log_q, x = leat_flow_sample_log_prob(flow, tape, n, &log_q);
    leat_var centre = leat_const(tape, (leat_tensor){ (leat_real[]){ 1, -2 }, LEAT_SHAPE(2) });
    leat_var precision = leat_const(tape, (leat_tensor){ (leat_real[]){ (leat_real)0.25, 4 }, LEAT_SHAPE(2) });
    leat_var energy = leat_mul_scalar(leat_sum_features(leat_mul(leat_square(leat_sub(x, centre)), precision)), 0.5);
    return leat_mean(leat_add(log_q, energy));
}

#ifdef LEAT_DOUBLE
static double reverse_kl_value(leat_flow *flow)
{
    leat_tape *tape = leat_tape_new(&(leat_tape_opts){ .seed = 3 });
    double value = leat_item(reverse_kl(flow, tape, 16));
    assert_tape(tape);
    leat_tape_free(tape);
    return value;
}

typedef struct slopes {
    leat_visitor visitor;
    leat_flow *flow;
    int checked;
} slopes;

static void check_slopes(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    slopes *s = (slopes *)v;
    char path[200];
    int64_t n = leat_shape_count(&p->leaf.shape);
    for (int64_t i = 0; i < n; i++, s->checked++) {
        double h = 1e-5, was = p->leaf.value[i];
        p->leaf.value[i] = was + h;
        double up = reverse_kl_value(s->flow);
        p->leaf.value[i] = was - h;
        double down = reverse_kl_value(s->flow);
        p->leaf.value[i] = was;
        double numeric = (up - down) / (2 * h);
        cr_assert(fabs(numeric - p->leaf.grad[i]) <= 1e-7 * fmax(1, fabs(numeric)), "%s[%lld]: %.10g, not %.10g",
                  leat_param_path(p, path, sizeof path), (long long)i, p->leaf.grad[i], numeric);
    }
}

Test(flow, gradient_through_sampling)
{
    leat_model *m = test_model(0);
    leat_flow *flow = affine_flow(m, leat_diagonal_normal(m, 2), 3);
    leat_tape *tape = leat_tape_new(&(leat_tape_opts){ .seed = 3 });
    cr_assert_eq(leat_backward(reverse_kl(flow, tape, 16)), LEAT_OK, "%s", leat_tape_errmsg(tape));
    slopes s = { .visitor = { .param = check_slopes }, .flow = flow };
    leat_visit_model(&s.visitor, m);
    cr_assert_eq(s.checked, leat_param_count(m));
    leat_tape_free(tape);
    leat_model_free(m);
}
#endif

/* At the optimum KL(q || p) = 0, so the objective is -log of p's normaliser: -log(2 pi * 2 * 1/2) = -1.8379. */
Test(flow, reverse_kl_trains)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_diagonal_normal(m, 2));
    leat_mask mask = leat_mask_alternating(m, 2, 0);
    leat_flow_add(flow, leat_coupling(m, mask, &test_affine, test_net(m, &mask, 0, 2)));
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 3e-2 });
    leat_tape *tape = test_tape(m);
    double last = 0;
    for (int step = 0; step < 400; step++) {
        leat_tape_reset(tape);
        leat_var loss = reverse_kl(flow, tape, 128);
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK, "%s", leat_optim_status(adam)->message);
        last = leat_item(loss);
    }
    cr_assert(fabs(last + log(2 * M_PI)) < 0.05, "ends at %g", last);
    leat_model_free(m);
}
