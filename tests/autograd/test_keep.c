/* Values let go of while recording: which, what their room serves for, and that whoever asks for one is told. */
#include "support.h"

TestSuite(keep, .init = setup, .fini = teardown);

enum { ROWS = 20, WIDTH = 100, STEPS = 50 };

static leat_var randoms(void)
{
    return leat_input(tape, leat_value(leat_randn(tape, LEAT_SHAPE(ROWS, WIDTH))));
}

static void keep(leat_tape_mark mark, leat_var *v)
{
    leat_tape_keep(tape, mark, v != NULL, &v);
}

/* ---- what goes and what stays ------------------------------------------------------------------------------------ */

/* Of every step three results, of which backward reads none or, `tanh`, one. */
static leat_var chain(leat_var x, bool keeping, bool tanh)
{
    leat_tape_mark mark = leat_tape_save(tape);
    for (int i = 0; i < STEPS; i++) {
        x = leat_add_scalar(tanh ? leat_tanh(leat_neg(x)) : leat_neg(leat_neg(x)), 1);
        if (keeping)
            keep(mark, &x);
    }
    return x;
}

static size_t bytes_of_chain(bool keeping, bool tanh)
{
    leat_tape_reset(tape);
    leat_var x = randoms();
    size_t before = leat_tape_get_stats(tape).bytes;
    cr_assert(leat_ok(chain(x, keeping, tanh)));
    return leat_tape_get_stats(tape).bytes - before;
}

Test(keep, what_no_backward_reads_makes_room_for_what_comes)
{
    const size_t value = ROWS * WIDTH * sizeof(leat_real), notes = 3 * STEPS * 128;
    cr_assert_geq(bytes_of_chain(false, false), 3 * STEPS * value);
    cr_assert_leq(bytes_of_chain(true, false), 4 * value + notes);
    cr_assert_leq(bytes_of_chain(true, true), (STEPS + 3) * value + notes);
    leat_tape_set_recording(tape, false);
    cr_assert_leq(bytes_of_chain(true, true), 4 * value);
}

Test(keep, gradients_are_the_same_also_the_second_time)
{
    leat_real first[ROWS * WIDTH], start[ROWS * WIDTH];
    leat_tensor from = { start, LEAT_SHAPE(ROWS, WIDTH) };
    leat_rng_fill_normal(leat_tape_rng(tape), start, ROWS * WIDTH);
    for (int keeping = 0; keeping < 2; keeping++) {
        leat_tape_reset(tape);
        leat_var x = leat_input(tape, from),
                 loss = leat_sum(leat_mul(chain(x, keeping, true), chain(x, keeping, false)));
        for (int again = 0; again < 2; again++) {
            leat_clear_grads(tape);
            cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
            if (!keeping && !again)
                memcpy(first, leat_grad(x).data, sizeof first);
            cr_assert_arr_eq(leat_grad(x).data, first, sizeof first);
        }
    }
}

static leat_code same_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return LEAT_OK;
}

static void cube(leat_call *c)
{
    for (int64_t i = 0; i < ROWS * WIDTH; i++)
        c->out[0].data[i] = c->in[0].data[i] * c->in[0].data[i] * c->in[0].data[i];
}

/* From its output too: 3 x^2 = 3 y / x. */
static void cube_back(leat_call *c)
{
    for (int64_t i = 0; i < ROWS * WIDTH; i++)
        c->din[0].data[i] = c->dout[0].data[i] * 3 * c->out[0].data[i] / c->in[0].data[i];
}

/* An op that says nothing may read everything. */
Test(keep, an_op_that_declares_nothing_finds_its_values)
{
    static const leat_op own = {
        .name = "own", .inputs = 1, .shape = same_shape, .forward = cube, .backward = cube_back
    };
    leat_tape_mark mark = leat_tape_save(tape);
    leat_var x = randoms(), in = leat_add_scalar(x, 3), out = leat_apply(&own, NULL, 0, 1, &in, NULL);
    leat_var y = leat_neg(out);
    keep(mark, &y);
    leat_var more[4] = { y };
    for (int i = 1; i < 4; i++)
        more[i] = leat_sub_scalar(more[i - 1], 1);
    cr_assert_eq(leat_backward(leat_sum(more[3])), LEAT_OK, "%s", leat_tape_errmsg(tape));
    for (int64_t i = 0; i < ROWS * WIDTH; i++) {
        leat_real a = data(in)[i];
        cr_assert_eq(leat_grad(x).data[i], -3 * (a * a * a) / a);
    }
}

Test(keep, a_view_and_what_it_shows_stay_together)
{
    leat_tape_mark mark = leat_tape_save(tape);
    leat_var x = randoms(), y = leat_neg(x),
             view = leat_reshape(leat_reshape(y, LEAT_SHAPE(-1)), LEAT_SHAPE(WIDTH, -1));
    keep(mark, &view);
    leat_neg(leat_neg(x));
    cr_assert_eq(data(view)[7], -data(x)[7]);
    cr_assert_eq(data(y)[7], -data(x)[7]);
    leat_var square = leat_square(view); /* reads what the view shows */
    keep(mark, &square);
    cr_assert_eq(data(y)[7], -data(x)[7]);
}

Test(keep, an_outer_mark_lets_go_of_what_an_inner_one_kept)
{
    leat_tape_mark outer = leat_tape_save(tape);
    leat_var a = leat_neg(randoms());
    leat_tape_mark inner = leat_tape_save(tape);
    leat_var b = leat_neg(a), c = leat_neg(b);
    keep(inner, &c);
    data(a), data(c);
    keep(outer, &c);
    data(c);
    assert_refused(leat_neg(a), LEAT_ESTATE,
                   "the value of neg is asked for, which was let go of: no backward reads it");
}

/* ---- asking for it ----------------------------------------------------------------------------------------------- */

static void give_out(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    leat_tape_mark mark = leat_tape_save(t);
    (void)user;
    out[0] = leat_neg(in[0]);
    leat_tape_keep(t, mark, 0, NULL);
}

Test(keep, who_asks_for_a_value_that_is_gone_is_told)
{
    enum { INPUT, VIEW, VALUE, ITEM, LOSS, CHECK, RESULT, KEEP, WAYS };
    for (int way = 0; way < WAYS; way++) {
        leat_tape_reset(tape);
        leat_tape_mark mark = leat_tape_save(tape);
        leat_var x = leat_sum(randoms()), y = leat_neg(x), view = leat_reshape(y, LEAT_SHAPE(1)), out = { 0 };
        keep(mark, NULL);
        cr_assert_eq(leat_var_shape(view).rank, 1);
        cr_assert_eq(leat_tape_code(tape), LEAT_OK);
        if (way == INPUT)
            cr_assert_not(leat_ok(leat_exp(y)));
        else if (way == VIEW)
            cr_assert_null(leat_value(view).data);
        else if (way == VALUE)
            cr_assert_null(leat_value(y).data);
        else if (way == ITEM)
            cr_assert(isnan(leat_item(y)));
        else if (way == LOSS)
            cr_assert_eq(leat_backward(y), LEAT_ESTATE);
        else if (way == CHECK)
            cr_assert_eq(leat_tape_check(view), LEAT_ESTATE);
        else if (way == RESULT)
            cr_assert_eq(leat_checkpoint(tape, give_out, NULL, 1, (leat_var[]){ randoms() }, 1, &out), LEAT_ESTATE);
        else {
            leat_tape_set_recording(tape, false);
            keep(mark, &y);
        }
        assert_refused(leat_neg(x), LEAT_ESTATE, "the value of neg is asked for");
        leat_tape_set_recording(tape, true);
    }
}

/* Of several results each by itself. */
Test(keep, further_results_too)
{
    leat_tape_mark mark = leat_tape_save(tape);
    leat_var in[3] = { randoms(), randoms(), randoms() }, logdet;
    leat_var y = leat_affine_forward(in[0], in[1], in[2], &logdet);
    keep(mark, &y);
    leat_neg(leat_sum_features(y));
    cr_assert_eq(data(y)[0], data(leat_affine_forward(in[0], in[1], in[2], NULL))[0]);
    cr_assert_null(leat_value(logdet).data);
    assert_refused(leat_neg(y), LEAT_ESTATE, "the value of an op's further result is asked for");
}

/* ---- with what goes over the tape again -------------------------------------------------------------------------- */

/* The first value that is not finite is one that was let go of. */
Test(keep, the_first_value_that_is_not_finite_is_found)
{
    leat_tape_mark mark = leat_tape_save(tape);
    leat_var x = leat_input(tape, leat_value(leat_full(tape, LEAT_SHAPE(2, 3), sizeof(leat_real) == 4 ? 3e38 : 1e308)));
    leat_var y = leat_mul_scalar(leat_reshape(leat_neg(x), LEAT_SHAPE(3, 2)), 10);
    leat_var loss = leat_sum(leat_add_scalar(leat_neg(leat_reshape(y, LEAT_SHAPE(6))), 1));
    keep(mark, &loss);
    for (int i = 0; i < 5; i++) { /* over the room of what was let go of */
        loss = leat_sum(leat_add_scalar(leat_reshape(loss, LEAT_SHAPE(1, 1)), i));
        leat_neg(leat_input(tape, leat_value(leat_zeros(tape, LEAT_SHAPE(3, 2)))));
    }
    cr_assert_eq(leat_backward(loss), LEAT_ENONFINITE);
    assert_refused(leat_neg(loss), LEAT_ENONFINITE,
                   "mul_scalar [3,2] is the first value that is not finite: -inf at element 0");
}

static void inside(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    const bool keeping = *(bool *)user;
    leat_tape_mark mark = leat_tape_save(t);
    leat_var h = in[0];
    for (int i = 0; i < 5; i++) {
        h = leat_tanh(leat_add_scalar(leat_neg(h), 0.25));
        if (keeping)
            keep(mark, &h);
    }
    out[0] = leat_mul(h, leat_neg(h));
}

/* What a checkpoint will read stays; what is spare inside of it is forgotten when its memory goes. */
Test(keep, checkpoints_inside_and_outside)
{
    leat_real start[ROWS * WIDTH], first[ROWS * WIDTH];
    leat_rng_fill_normal(leat_tape_rng(tape), start, ROWS * WIDTH);
    for (int keeping = 0; keeping < 2; keeping++) {
        leat_tape_reset(tape);
        bool flag = keeping;
        leat_var x = leat_input(tape, (leat_tensor){ start, LEAT_SHAPE(ROWS, WIDTH) }), y = x;
        leat_tape_mark mark = leat_tape_save(tape);
        for (int i = 0; i < 4; i++) {
            leat_var in = leat_neg(leat_neg(y));
            cr_assert_eq(leat_checkpoint(tape, inside, &flag, 1, &in, 1, &y), LEAT_OK, "%s", leat_tape_errmsg(tape));
            y = leat_add_scalar(leat_sub_scalar(y, 1), 2);
            if (keeping)
                keep(mark, &y);
        }
        cr_assert_eq(leat_backward(leat_sum(y)), LEAT_OK, "%s", leat_tape_errmsg(tape));
        if (!keeping)
            memcpy(first, leat_grad(x).data, sizeof first);
        cr_assert_arr_eq(leat_grad(x).data, first, sizeof first);
    }
}

static void leaves_room(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    leat_tape_mark mark = leat_tape_save(t);
    (void)user;
    out[0] = leat_neg(leat_neg(leat_neg(leat_neg(in[0]))));
    keep(mark, &out[0]);
}

/* Room inside of a checkpoint's memory is not given to what comes when that memory is gone. */
Test(keep, room_goes_with_the_memory_that_it_is_in)
{
    leat_var x = randoms(), y;
    cr_assert_eq(leat_checkpoint(tape, leaves_room, NULL, 1, &x, 1, &y), LEAT_OK, "%s", leat_tape_errmsg(tape));
    leat_var below = leat_neg(y);
    for (int i = 0; i < 20; i++)
        leat_full(tape, LEAT_SHAPE(ROWS, WIDTH), 7);
    for (int64_t i = 0; i < ROWS * WIDTH; i++)
        cr_assert_eq(data(below)[i], -data(y)[i]);
}
