/* The tape itself: sticky errors, stale variables, places in messages, memory, several outputs, leaves that last. */
#include <criterion/criterion.h>

#include "../../autograd/autograd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static leat_tape *tape;

static void setup(void)
{
    tape = leat_tape_new(NULL);
}

static void teardown(void)
{
    leat_tape_free(tape);
}

TestSuite(tape, .init = setup, .fini = teardown);

static leat_var numbers(int64_t rows, int64_t columns)
{
    return leat_randn(tape, LEAT_SHAPE(rows, columns));
}

Test(tape, the_first_error_stays_and_later_ops_do_nothing)
{
    leat_var bad = leat_matmul(numbers(4, 3), numbers(5, 2));
    cr_assert_not(leat_ok(bad));
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
    char first[500];
    strcpy(first, leat_tape_errmsg(tape));
    cr_assert_not_null(strstr(first, "matmul [4,3] x [5,2]"), "%s", first);
    int64_t nodes = leat_tape_get_stats(tape).nodes;
    leat_var more = leat_add(leat_exp(bad), numbers(2, 2));
    cr_assert_not(leat_ok(more));
    cr_assert_eq(leat_tape_get_stats(tape).nodes, nodes);
    cr_assert_str_eq(leat_tape_errmsg(tape), first);
    cr_assert_eq(leat_backward(leat_sum(more)), LEAT_ESHAPE);
    cr_assert_null(leat_value(more).data);
    cr_assert(isnan(leat_item(more)));
    leat_tape_reset(tape);
    cr_assert_eq(leat_tape_code(tape), LEAT_OK);
    cr_assert(leat_ok(leat_exp(numbers(2, 2))));
}

Test(tape, stale_variables_are_refused)
{
    leat_var x = numbers(2, 2);
    leat_tape_reset(tape);
    numbers(2, 2); /* takes the same place */
    cr_assert_not(leat_ok(x));
    cr_assert_null(leat_value(x).data);
    leat_exp(x);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
    cr_assert_not_null(strstr(leat_tape_errmsg(tape), "stale"));
}

Test(tape, failed_variables_do_not_survive_a_reset)
{
    leat_var bad = leat_tape_fail(tape, LEAT_EARG, "made to fail");
    leat_tape_reset(tape);
    leat_exp(bad);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
}

Test(tape, variables_of_two_tapes_do_not_mix)
{
    leat_tape *other = leat_tape_new(NULL);
    leat_add(numbers(2, 2), leat_scalar(other, 1));
    cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
    cr_assert_eq(leat_tape_code(other), LEAT_OK);
    leat_tape_free(other);
}

Test(tape, empty_tensors_need_no_data)
{
    leat_tensor empty = { .shape = LEAT_SHAPE(0, 3) };
    leat_var sum = leat_add(leat_sum(leat_exp(leat_borrow(tape, empty))), leat_sum(leat_exp(leat_const(tape, empty))));
    cr_assert_eq(leat_tape_code(tape), LEAT_OK);
    cr_assert_eq(leat_item(sum), 0);
}

Test(tape, messages_name_the_place)
{
    leat_scope outer = { "layers.3", NULL }, root = { NULL, &outer }, inner = { "net.2", &root };
    const leat_scope *was = leat_tape_enter(tape, &inner);
    leat_add(numbers(2, 3), numbers(2, 4));
    leat_tape_enter(tape, was);
    cr_assert_eq(strncmp(leat_tape_errmsg(tape), "layers.3.net.2: add [2,3] x [2,4]: ", 35), 0, "%s",
                 leat_tape_errmsg(tape));
    char text[8];
    cr_assert_str_eq(leat_scope_path(&inner, text, sizeof text), "layers.");
}

Test(tape, backward_needs_one_finite_number)
{
    cr_assert_eq(leat_backward(leat_input(tape, leat_value(numbers(2, 2)))), LEAT_ESHAPE);
    leat_tape_reset(tape);
    leat_scope place = { "net", NULL };
    leat_var zero = leat_sub(leat_scalar(tape, 1), leat_scalar(tape, 1));
    leat_tape_enter(tape, &place);
    leat_var inf = leat_log(zero);
    leat_tape_enter(tape, NULL);
    cr_assert_eq(leat_backward(leat_mul(inf, inf)), LEAT_ENONFINITE);
    cr_assert_not_null(strstr(leat_tape_errmsg(tape), "net: log [] "), "%s", leat_tape_errmsg(tape));
    cr_assert_not_null(strstr(leat_tape_errmsg(tape), "-inf"), "%s", leat_tape_errmsg(tape));
}

/* x (2 x + 1) at 3: the product's factors share x, and x is used twice. */
Test(tape, gradients_of_a_variable_used_twice_add_up)
{
    leat_real three = 3;
    leat_var x = leat_input(tape, (leat_tensor){ &three, leat_shape_of(0, NULL) });
    leat_var y = leat_mul(x, leat_add_scalar(leat_mul_scalar(x, 2), 1));
    cr_assert_eq(leat_item(y), 21);
    cr_assert_eq(leat_backward(y), LEAT_OK);
    cr_assert_eq(leat_grad(x).data[0], 13);
    cr_assert_eq(leat_backward(y), LEAT_OK, "the tape can be walked again");
    cr_assert_eq(leat_grad(x).data[0], 26, "and adds to what is there");
    leat_clear_grads(tape);
    cr_assert_null(leat_grad(x).data);
}

Test(tape, leaves_keep_their_gradient_across_steps)
{
    leat_real value[2] = { 2, 5 }, grad[2] = { 77, 77 };
    leat_leaf leaf = { .scope = { "w", NULL }, .shape = LEAT_SHAPE(2), .value = value, .grad = grad };
    for (int step = 1; step <= 2; step++) {
        leat_tape_reset(tape);
        leat_var loss = leat_sum(leat_mul(leat_leaf_var(tape, &leaf), leat_leaf_var(tape, &leaf)));
        cr_assert_eq(leat_backward(loss), LEAT_OK);
        cr_assert_eq(grad[0], (leat_real)(4 * step), "overwritten first, added to later");
        cr_assert_eq(grad[1], (leat_real)(10 * step));
    }
    leat_tape_reset(tape);
    leat_var nan = leat_log(leat_neg(leat_leaf_var(tape, &leaf)));
    cr_assert_eq(leat_backward(leat_sum(nan)), LEAT_ENONFINITE);
    cr_assert_not(leaf.has_grad, "a failed backward empties the gradients");
    leaf.frozen = true;
    leat_tape_reset(tape);
    cr_assert_eq(leat_backward(leat_sum(leat_leaf_var(tape, &leaf))), LEAT_OK);
    cr_assert_not(leaf.has_grad);
}

/* ---- an op with two outputs: sum and difference --------------------------------------------------------------  */

static leat_code both_shape(leat_call *c)
{
    if (!leat_shape_equal(&c->in[0].shape, &c->in[1].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "shapes differ");
    c->out[0].shape = c->out[1].shape = c->in[0].shape;
    return LEAT_OK;
}

static void both_forward(leat_call *c)
{
    for (int64_t i = 0; i < leat_shape_count(&c->in[0].shape); i++) {
        c->out[0].data[i] = c->in[0].data[i] + c->in[1].data[i];
        c->out[1].data[i] = c->in[0].data[i] - c->in[1].data[i];
    }
}

static void both_backward(leat_call *c)
{
    for (int64_t i = 0; i < leat_shape_count(&c->in[0].shape); i++) {
        if (c->din[0].data)
            c->din[0].data[i] = c->dout[0].data[i] + c->dout[1].data[i];
        if (c->din[1].data)
            c->din[1].data[i] = c->dout[0].data[i] - c->dout[1].data[i];
    }
}

static const leat_op both = {
    .name = "both", .inputs = 2, .outputs = 2, .shape = both_shape, .forward = both_forward, .backward = both_backward
};

static const struct {
    bool first, second;
    double da, db;
} uses[] = { { true, false, 1, 1 }, { false, true, 1, -1 }, { true, true, 2, 0 } };

Test(tape, several_outputs_whichever_are_used)
{
    leat_real a[] = { 1, 2 }, b[] = { 3, 4 };
    for (int i = 0; i < 3; i++) {
        leat_tape_reset(tape);
        leat_var in[] = { leat_input(tape, (leat_tensor){ a, LEAT_SHAPE(2) }),
                          leat_input(tape, (leat_tensor){ b, LEAT_SHAPE(2) }) };
        leat_var out[2];
        leat_apply(&both, NULL, 0, 2, in, out);
        cr_assert_eq(leat_value(out[1]).data[0], -2);
        leat_var loss = leat_scalar(tape, 0);
        if (uses[i].first)
            loss = leat_add(loss, leat_sum(out[0]));
        if (uses[i].second)
            loss = leat_add(loss, leat_sum(out[1]));
        cr_assert_eq(leat_backward(loss), LEAT_OK);
        cr_assert_eq(leat_grad(in[0]).data[1], uses[i].da);
        cr_assert_eq(leat_grad(in[1]).data[1], uses[i].db);
    }
}

/* ---- memory
 * ------------------------------------------------------------------------------------------------------- */

Test(tape, zeros_cost_nothing_and_are_stepped_over)
{
    leat_var x = numbers(3, 2), zeros = leat_zeros_like(x);
    size_t bytes = leat_tape_get_stats(tape).bytes;
    leat_var same = leat_add(x, zeros);
    cr_assert_eq(same.id, x.id);
    cr_assert_eq(leat_sub(x, zeros).id, x.id);
    leat_sum_features(zeros);
    leat_neg(zeros);
    cr_assert_eq(leat_tape_get_stats(tape).bytes, bytes);
    leat_tensor value = leat_value(leat_exp(zeros));
    for (int i = 0; i < 6; i++)
        cr_assert_eq(value.data[i], 1);
    cr_assert_eq(leat_value(zeros).data[5], 0);
}

Test(tape, keep_lets_go_of_the_rest)
{
    leat_tape_set_recording(tape, false);
    leat_var x = numbers(100, 10), first = { 0 };
    size_t bytes = 0, peak = 0;
    for (int i = 0; i < 50; i++) {
        leat_tape_mark mark = leat_tape_save(tape);
        leat_var y = leat_add_scalar(leat_neg(leat_neg(x)), 1), zeros = leat_zeros_like(y);
        first = y;
        leat_tape_keep(tape, mark, 2, (leat_var *[]){ &y, &zeros });
        cr_assert(leat_ok(y) && leat_ok(zeros) && !leat_ok(first));
        cr_assert_eq(leat_value(y).data[7], leat_value(x).data[7] + 1);
        if (i == 1) {
            bytes = leat_tape_get_stats(tape).bytes;
            peak = leat_tape_get_stats(tape).peak_bytes;
        }
        leat_tape_keep(tape, mark, 0, NULL);
    }
    cr_assert_leq(leat_tape_get_stats(tape).bytes, bytes);
    cr_assert_eq(leat_tape_get_stats(tape).peak_bytes, peak);
    leat_exp(first);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
}

typedef struct counting {
    int allowed, calls, live;
} counting;

static void *count_allocate(void *user, size_t bytes)
{
    counting *c = user;
    if (++c->calls > c->allowed && c->allowed >= 0)
        return NULL;
    c->live++;
    return malloc(bytes);
}

static void count_release(void *user, void *block)
{
    counting *c = user;
    c->live -= block != NULL;
    free(block);
}

static leat_code step(leat_tape *t)
{
    leat_tape_reset(t);
    leat_var x = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(40, 30))));
    leat_var w = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(30, 30))));
    for (int i = 0; i < 100; i++)
        x = leat_tanh(leat_matmul(x, w));
    return leat_backward(leat_mean(leat_square(x)));
}

Test(tape, no_allocation_from_the_third_step_on)
{
    counting c = { .allowed = -1 };
    leat_allocator allocator = { count_allocate, count_release, &c };
    leat_tape *t = leat_tape_new(&(leat_tape_opts){ .allocator = &allocator });
    int after_two = 0;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(step(t), LEAT_OK, "%s", leat_tape_errmsg(t));
        if (i == 1)
            after_two = c.calls;
    }
    cr_assert_eq(c.calls, after_two);
    leat_tape_free(t);
    cr_assert_eq(c.live, 0);
}

/* Lists of matrices that take blocks of their own. */
static leat_code many_products(leat_tape *t)
{
    leat_tape_reset(t);
    leat_var a = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(1, 1, 1))));
    leat_var b = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(300000, 1, 1))));
    return leat_backward(leat_mean(leat_bmm(leat_bmm(a, b), a)));
}

static void fail_every_call(leat_code (*step_of)(leat_tape *t))
{
    int needed = 0;
    for (int allowed = 0; allowed < 200 && !needed; allowed++) {
        counting c = { .allowed = allowed };
        leat_allocator allocator = { count_allocate, count_release, &c };
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .allocator = &allocator });
        if (t) {
            leat_code code = step_of(t);
            cr_assert(code == LEAT_ENOMEM || code == LEAT_OK, "%s", leat_tape_errmsg(t));
            if (code == LEAT_OK)
                needed = allowed;
        }
        leat_tape_free(t);
        cr_assert_eq(c.live, 0);
    }
    cr_assert_gt(needed, 4);
}

Test(tape, out_of_memory_at_every_call_is_an_ordinary_error)
{
    fail_every_call(step);
    fail_every_call(many_products);
}
