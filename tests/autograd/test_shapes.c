/* Ops that move numbers: permute, transpose, stack, split, pad, repeat, gather, scatter, against plain loops and numbers
 * written out, and at their edges. */
#include "support.h"

TestSuite(shapes, .init = setup, .fini = teardown);

#define N(...)     leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))
#define V(...)     ((leat_var[]){ __VA_ARGS__ })
#define ORDER(...) ((const int[]){ __VA_ARGS__ })
#define TIMES(...) ((const int64_t[]){ __VA_ARGS__ })

static const leat_shape scalar = { 0 };

/* ---- permute ----------------------------------------------------------------------------------------------------- */

/* The result against the definition, element by element. */
static void check_permute(leat_shape shape, const int *order)
{
    leat_var x = N(1);
    leat_tape_reset(tape);
    x = leat_randn(tape, shape);
    leat_var y = leat_permute(x, order);
    leat_shape got = leat_var_shape(y), want = shape;
    int64_t stride[LEAT_MAX_RANK], step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.size[i];
    }
    for (int i = 0; i < shape.rank; i++)
        want.size[i] = shape.size[order[i]];
    assert_shape(y, want);
    for (int64_t i = 0; i < step; i++) {
        int64_t rest = i, from = 0;
        for (int axis = shape.rank - 1; axis >= 0; axis--) {
            from += rest % got.size[axis] * stride[order[axis]];
            rest /= got.size[axis];
        }
        cr_assert_eq(data(y)[i], data(x)[from], "element %d", (int)i);
    }
}

Test(shapes, every_order_of_four_axes)
{
    static const leat_shape shapes[] = {
        { 4, { 2, 3, 4, 5 } }, { 4, { 17, 1, 3, 18 } }, { 4, { 1, 33, 2, 16 } },
        { 4, { 2, 0, 3, 2 } }, { 4, { 1, 1, 1, 1 } },
    };
    for (int s = 0; s < 5; s++) {
        for (int code = 0; code < 256; code++) {
            int order[] = { code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3 };
            if ((1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3]) == 15)
                check_permute(shapes[s], order);
        }
    }
}

Test(shapes, permute_other_ranks)
{
    check_permute(LEAT_SHAPE(100, 70), ORDER(1, 0));
    check_permute(LEAT_SHAPE(7, 1000), ORDER(1, 0));
    check_permute(LEAT_SHAPE(1, 5), ORDER(1, 0));
    check_permute(LEAT_SHAPE(2, 2, 3, 2, 3, 2), ORDER(5, 2, 0, 3, 1, 4));
    check_permute(LEAT_SHAPE(3, 2, 2, 2, 2, 20), ORDER(3, 1, 0, 2, 5, 4));
    leat_var one = leat_scalar(tape, 7);
    assert_numbers(leat_permute(one, NULL), scalar, NUMBERS(7));
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(0, 1, 2, 3, 4, 5));
    assert_numbers(leat_permute(x, ORDER(-1, -2)), LEAT_SHAPE(3, 2), NUMBERS(0, 3, 1, 4, 2, 5));
    assert_numbers(leat_transpose(x, 0, -1), LEAT_SHAPE(3, 2), NUMBERS(0, 3, 1, 4, 2, 5));
    assert_numbers(leat_transpose(x, 1, 1), LEAT_SHAPE(2, 3), NUMBERS(0, 1, 2, 3, 4, 5));
    assert_equal(gradient(leat_transpose(x, 0, 1), NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(1, 3, 5, 2, 4, 6), 6);
}

/* ---- stack and split --------------------------------------------------------------------------------------------- */

Test(shapes, unsqueeze_and_squeeze)
{
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6)), middle = leat_unsqueeze(x, 1);
    assert_numbers(middle, LEAT_SHAPE(2, 1, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_shape(leat_unsqueeze(x, 0), LEAT_SHAPE(1, 2, 3));
    assert_shape(leat_unsqueeze(x, -1), LEAT_SHAPE(2, 3, 1));
    assert_numbers(leat_squeeze(middle, -2), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_shape(leat_squeeze(leat_unsqueeze(middle, 3), 1), LEAT_SHAPE(2, 3, 1));
    assert_equal(gradient(leat_squeeze(middle, 1), NUMBERS(1, 2, 4, 8, 16, 32), x), NUMBERS(1, 2, 4, 8, 16, 32), 6);
}

Test(shapes, stack)
{
    leat_var a = input(LEAT_SHAPE(2), NUMBERS(1, 2)), b = input(LEAT_SHAPE(2), NUMBERS(3, 4));
    assert_numbers(leat_stack(2, V(a, b), 0), LEAT_SHAPE(2, 2), NUMBERS(1, 2, 3, 4));
    assert_numbers(leat_stack(2, V(a, b), 1), LEAT_SHAPE(2, 2), NUMBERS(1, 3, 2, 4));
    assert_numbers(leat_stack(3, V(a, b, a), -1), LEAT_SHAPE(2, 3), NUMBERS(1, 3, 1, 2, 4, 2));
    assert_numbers(leat_stack(1, V(a), -2), LEAT_SHAPE(1, 2), NUMBERS(1, 2));
    assert_numbers(leat_stack(2, V(leat_scalar(tape, 5), leat_scalar(tape, 6)), 0), LEAT_SHAPE(2), NUMBERS(5, 6));
    assert_shape(leat_stack(2, V(N(0, 3), N(0, 3)), 1), LEAT_SHAPE(0, 2, 3));
    assert_equal(gradient(leat_stack(3, V(a, b, a), -1), NUMBERS(1, 2, 4, 8, 16, 32), a), NUMBERS(5, 40), 2);
}

/* Up to four pieces are one op, more are slices: the same numbers, and the same gradients. */
Test(shapes, split_sizes)
{
    static const int64_t sizes[2][5] = { { 2, 0, 3 }, { 1, 1, 0, 2, 1 } };
    for (int k = 0; k < 2; k++) {
        int n = k ? 5 : 3;
        leat_var x = integers(LEAT_SHAPE(4, 5)), piece[5];
        int64_t at = 0;
        leat_split_sizes(x, -1, n, sizes[k], piece);
        for (int i = 0; i < n; at += sizes[k][i], i++) {
            leat_var want = leat_slice(x, 1, at, sizes[k][i]);
            assert_shape(piece[i], leat_var_shape(want));
            cr_assert_eq(memcmp(data(piece[i]), data(want), (size_t)count(want) * sizeof(leat_real)), 0);
        }
        const leat_real *g = gradient(leat_mul_scalar(piece[2 - k], 3), NULL, x);
        at = k ? 1 : 2;
        for (int i = 0; i < 20; i++)
            cr_assert_eq(g[i], (leat_real)(i % 5 >= at && i % 5 < at + sizes[k][2 - k] ? 3 : 0));
    }
    leat_var x = integers(LEAT_SHAPE(4, 5)), piece[2];
    leat_split_sizes(x, 1, 2, (int64_t[]){ 2, 2 }, piece);
    assert_refused(piece[1], LEAT_ESHAPE, "split_sizes [4,5]: 1 are left on axis 1");
    leat_split_sizes(integers(LEAT_SHAPE(4, 5)), 0, 2, (int64_t[]){ 2, 3 }, piece);
    assert_refused(piece[0], LEAT_ESHAPE, "pieces that are not what axis 0 holds");
    leat_split_sizes(integers(LEAT_SHAPE(4, 5)), 0, 2, (int64_t[]){ -1, 5 }, piece);
    assert_refused(piece[0], LEAT_ESHAPE, "pieces that are not what axis 0 holds");
    leat_split_sizes(integers(LEAT_SHAPE(4, 5)), 2, 1, (int64_t[]){ 4 }, piece);
    assert_refused(piece[0], LEAT_ESHAPE, "axis 2 of a tensor of rank 2");
}

Test(shapes, split)
{
    leat_var x = input(LEAT_SHAPE(2, 5), NUMBERS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)), piece[3];
    leat_split(x, 1, 2, 3, piece);
    assert_numbers(piece[0], LEAT_SHAPE(2, 2), NUMBERS(0, 1, 5, 6));
    assert_numbers(piece[2], LEAT_SHAPE(2, 1), NUMBERS(4, 9));
    leat_split(x, -2, 1, 2, piece);
    assert_numbers(piece[1], LEAT_SHAPE(1, 5), NUMBERS(5, 6, 7, 8, 9));
    leat_split(x, 0, INT64_MAX, 1, piece);
    assert_shape(piece[0], LEAT_SHAPE(2, 5));
    leat_split(N(0, 2), 0, 3, 1, piece); /* PyTorch, too, makes one empty piece */
    assert_shape(piece[0], LEAT_SHAPE(0, 2));
    leat_split(N(0, 2), 0, 0, 1, piece);
    assert_shape(piece[0], LEAT_SHAPE(0, 2));
    leat_split(x, 1, 2, 2, piece);
    cr_assert_not(leat_ok(piece[0]));
    assert_refused(piece[1], LEAT_ESHAPE, "split [2,5]: 2 pieces of 2, but axis 1 has the size 5");
    leat_split(N(2), 0, 0, 2, piece);
    assert_refused(piece[0], LEAT_ESHAPE, "split [2]: 2 pieces of 0, but axis 0 has the size 2");
    leat_split(N(2), 0, -1, 2, piece);
    assert_refused(piece[0], LEAT_ESHAPE, "split [2]: 2 pieces of -1, but axis 0 has the size 2");
    leat_split(N(2), 1, 1, 2, piece);
    assert_refused(piece[0], LEAT_ESHAPE, "split [2]: axis 1 of a tensor of rank 1");
    leat_split(x, 1, 2, 3, piece); /* of before the resets */
    assert_refused(piece[0], LEAT_ESTATE, "a stale variable");
    assert_refused(leat_stack(2, V(x, x), 5), LEAT_ESTATE, "a stale variable");
}

/* ---- pad --------------------------------------------------------------------------------------------------------- */

Test(shapes, pad)
{
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_numbers(leat_pad(x, 1, 1, 2, 7), LEAT_SHAPE(2, 6), NUMBERS(7, 1, 2, 3, 7, 7, 7, 4, 5, 6, 7, 7));
    assert_numbers(leat_pad(x, -1, -1, -1, 7), LEAT_SHAPE(2, 1), NUMBERS(2, 5));
    assert_numbers(leat_pad(x, 0, 1, -1, -1), LEAT_SHAPE(2, 3), NUMBERS(-1, -1, -1, 1, 2, 3));
    assert_numbers(leat_pad(x, 1, -3, 2, 7), LEAT_SHAPE(2, 2), NUMBERS(7, 7, 7, 7));
    assert_shape(leat_pad(x, 1, -1, -2, 7), LEAT_SHAPE(2, 0));
    assert_numbers(leat_pad(N(2, 0), 1, 1, 0, INF), LEAT_SHAPE(2, 1), NUMBERS(INF, INF));
    assert_shape(leat_pad(N(0, 2), 1, 1, 1, 0), LEAT_SHAPE(0, 4));
    assert_equal(gradient(leat_pad(x, 1, -1, 1, NOT_A_NUMBER), NULL, x), NUMBERS(0, 1, 1, 0, 1, 1), 6);
    assert_equal(gradient(leat_pad(x, 0, 1, -1, 3), NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(4, 5, 6, 0, 0, 0), 6);
}

/* ---- repeat ------------------------------------------------------------------------------------------------------ */

Test(shapes, repeat)
{
    leat_var x = input(LEAT_SHAPE(2, 2), NUMBERS(1, 2, 3, 4));
    leat_var y = leat_repeat(x, TIMES(2, 3));
    assert_numbers(y, LEAT_SHAPE(4, 6),
                   NUMBERS(1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4));
    assert_equal(gradient(y, NULL, x), NUMBERS(6, 6, 6, 6), 4);
    assert_numbers(leat_repeat(x, TIMES(1, 1)), LEAT_SHAPE(2, 2), NUMBERS(1, 2, 3, 4));
    assert_shape(leat_repeat(x, TIMES(0, 3)), LEAT_SHAPE(0, 6));
    assert_equal(gradient(leat_repeat(x, TIMES(2, 0)), NULL, x), NUMBERS(0, 0, 0, 0), 4);
    assert_shape(leat_repeat(N(0, 2), TIMES(3, 2)), LEAT_SHAPE(0, 4));
    assert_numbers(leat_repeat(leat_slice(x, 1, 1, 1), TIMES(1, 3)), LEAT_SHAPE(2, 3), NUMBERS(2, 2, 2, 4, 4, 4));
    assert_numbers(leat_repeat(leat_scalar(tape, 3), NULL), scalar, NUMBERS(3));
}

/* ---- gather and scatter ------------------------------------------------------------------------------------------ */

/* Along each axis of three, an index smaller than x on the others. */
Test(shapes, gather_of_rank_3)
{
    enum { A = 3, B = 4, C = 5 };
    static const int64_t sizes[3][3] = { { 6, B - 1, C - 2 }, { A - 1, 6, C - 2 }, { A - 1, B - 2, 6 } };
    for (int axis = 0; axis < 3; axis++) {
        const int64_t *n = sizes[axis], most[3] = { A, B, C };
        leat_tape_reset(tape);
        leat_var x = N(A, B, C), index = leat_zeros(tape, LEAT_SHAPE(n[0], n[1], n[2]));
        for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++)
            leat_value(index).data[i] = (leat_real)(i * 7 % most[axis]);
        leat_var y = leat_gather(x, axis, index);
        for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++) {
            int64_t at[3] = { i / (n[1] * n[2]), i / n[2] % n[1], i % n[2] };
            at[axis] = (int64_t)data(index)[i];
            cr_assert_eq(data(y)[i], data(x)[(at[0] * B + at[1]) * C + at[2]], "axis %d, element %d", axis, (int)i);
        }
    }
}

Test(shapes, gather)
{
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    leat_var index = input(LEAT_SHAPE(2, 4), NUMBERS(2, 0, 0, 2, 1, 1, 0, -0.0));
    assert_numbers(leat_gather(x, 1, index), LEAT_SHAPE(2, 4), NUMBERS(3, 1, 1, 3, 5, 5, 4, 4));
    assert_equal(gradient(leat_gather(x, -1, index), NUMBERS(1, 2, 3, 4, 5, 6, 7, 8), x), NUMBERS(5, 0, 5, 15, 11, 0),
                 6);
    leat_var column = input(LEAT_SHAPE(3, 2), NUMBERS(0, 1, 1, 1, 1, 0)); /* smaller than x on the other axis */
    assert_numbers(leat_gather(x, 0, column), LEAT_SHAPE(3, 2), NUMBERS(1, 5, 4, 5, 4, 2));
    assert_equal(gradient(leat_gather(x, 0, column), NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(1, 6, 0, 8, 6, 0), 6);
    assert_shape(leat_gather(x, 1, N(2, 0)), LEAT_SHAPE(2, 0));
    assert_shape(leat_gather(N(2, 0), 1, N(2, 0)), LEAT_SHAPE(2, 0));
    leat_var whole = input(LEAT_SHAPE(2), NUMBERS(1, 0)); /* a variable that indexes itself */
    assert_equal(gradient(leat_gather(whole, 0, whole), NUMBERS(3, 5), whole), NUMBERS(5, 3), 2);
}

Test(shapes, scatter)
{
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    leat_var y = input(LEAT_SHAPE(2, 3), NUMBERS(10, 20, 30, 40, 50, 60));
    leat_var index = input(LEAT_SHAPE(2, 3), NUMBERS(2, 0, 2, 1, 1, 1));
    leat_var put = leat_scatter(x, 1, index, y);
    assert_numbers(put, LEAT_SHAPE(2, 3), NUMBERS(20, 2, 30, 4, 60, 6)); /* the last one stays */
    assert_equal(gradient(put, NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(0, 2, 0, 4, 0, 6), 6);
    assert_equal(leat_grad(y).data, NUMBERS(0, 1, 3, 0, 0, 5), 6); /* and has all of the gradient */
    assert_equal(gradient(leat_scatter(leat_detach(x), 1, index, y), NUMBERS(1, 2, 3, 4, 5, 6), y),
                 NUMBERS(0, 1, 3, 0, 0, 5), 6);
    leat_var added = leat_scatter_add(x, 1, index, y);
    assert_numbers(added, LEAT_SHAPE(2, 3), NUMBERS(21, 2, 43, 4, 155, 6));
    assert_equal(gradient(added, NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(1, 2, 3, 4, 5, 6), 6);
    assert_equal(leat_grad(y).data, NUMBERS(3, 1, 3, 5, 5, 5), 6);
    leat_var at = input(LEAT_SHAPE(2, 1), NUMBERS(1, 1)), pair = input(LEAT_SHAPE(2, 1), NUMBERS(7, 8));
    assert_numbers(leat_scatter(x, 0, at, pair), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 8, 5, 6));
    assert_numbers(leat_scatter_add(x, 0, at, pair), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 19, 5, 6));
    assert_numbers(leat_scatter(x, 1, N(2, 0), N(2, 0)), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_numbers(leat_scatter(x, 1, index, x), LEAT_SHAPE(2, 3), NUMBERS(2, 2, 3, 4, 6, 6));
    assert_equal(gradient(leat_scatter(x, 1, index, x), NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(0, 3, 3, 4, 0, 11), 6);
    assert_numbers(x, LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static leat_var index_of(double value)
{
    return leat_concat(2, V(leat_zeros(tape, LEAT_SHAPE(2, 2)), leat_full(tape, LEAT_SHAPE(2, 1), value)), 1);
}

Test(shapes, refusals)
{
    static const leat_var absent[17];
    assert_refused(leat_permute(N(2, 3), ORDER(0, 2)), LEAT_ESHAPE, "permute [2,3]: axis 2 of a tensor of rank 2");
    assert_refused(leat_permute(N(2, 3), ORDER(1, -1)), LEAT_ESHAPE, "permute [2,3]: axis -1 is named twice");
    assert_refused(leat_transpose(N(2, 3), 0, 2), LEAT_ESHAPE, "transpose [2,3]: axis 2 of a tensor of rank 2");
    assert_refused(leat_transpose(N(2, 3), -3, 0), LEAT_ESHAPE, "transpose [2,3]: axis -3 of a tensor of rank 2");
    assert_refused(leat_transpose(leat_inverse(N(2, 3)), 7, 0), LEAT_ESHAPE, "inverse [2,3]");
    assert_refused(leat_stack(2, V(N(2, 3), N(2, 4)), 0), LEAT_ESHAPE, "stack [2,3] x [2,4]: the shapes differ");
    assert_refused(leat_unsqueeze(N(2), 2), LEAT_ESHAPE, "unsqueeze [2]: axis 2 of a result of rank 2");
    assert_refused(leat_squeeze(N(2, 1), 0), LEAT_ESHAPE, "squeeze [2,1]: axis 0 is not there, or its size not 1");
    assert_refused(leat_stack(2, V(N(2), N(2)), 2), LEAT_ESHAPE, "stack [2]: axis 2 of a result of rank 2");
    assert_refused(leat_stack(1, V(N(1, 1, 1, 1, 1, 1)), 0), LEAT_ESHAPE,
                   "stack [1,1,1,1,1,1]: axis 0 of a result of rank 7, at most 6");
    leat_var many[17];
    memcpy(many, absent, sizeof many);
    many[0] = N(2);
    assert_refused(leat_stack(17, many, 0), LEAT_EARG, "stack: 17 inputs, at most 16");
    assert_refused(leat_pad(N(2, 3), 2, 1, 1, 0), LEAT_ESHAPE, "pad [2,3]: axis 2 of a tensor of rank 2");
    assert_refused(leat_pad(N(2, 3), 1, -2, -2, 0), LEAT_ESHAPE,
                   "pad [2,3]: -2 before and -2 after, but axis 1 has the size 3");
    assert_refused(leat_pad(N(2, 3), 1, -4, 9, 0), LEAT_ESHAPE,
                   "pad [2,3]: -4 before and 9 after, but axis 1 has the size 3");
    assert_refused(leat_pad(N(2, 3), 1, INT64_MAX, 9, 0), LEAT_ENOMEM, "before and 9 after add up to too much");
    assert_refused(leat_pad(N(2, 3), 1, INT64_MAX / 2, 9, 0), LEAT_ENOMEM, "pad [2,3]: no memory could hold");
    assert_refused(leat_repeat(N(2, 3), TIMES(-1, 1)), LEAT_EARG, "repeat [2,3]: -1 times along axis 0");
    assert_refused(leat_repeat(N(2, 3), TIMES(1, INT64_MAX)), LEAT_ENOMEM, "times along axis 1 is too much");
    assert_refused(leat_gather(N(2, 3), 2, N(2, 3)), LEAT_ESHAPE, "gather [2,3] x [2,3]: axis 2 of a tensor of rank 2");
    assert_refused(leat_gather(N(2, 3), 0, N(2)), LEAT_ESHAPE, "gather [2,3] x [2]: the index has rank 1, the first 2");
    assert_refused(leat_gather(N(2, 3), 1, index_of(3)), LEAT_EARG,
                   "gather [2,3] x [2,3]: the index at [0,2] is 3, axis 1 has the size 3");
    assert_refused(leat_gather(N(2, 3), 1, index_of(-1)), LEAT_EARG, "the index at [0,2] is -1, axis 1 has the size 3");
    assert_refused(leat_gather(N(2, 3), 1, index_of(0.5)), LEAT_EARG, "the index at [0,2] is 0.5");
    assert_refused(leat_gather(N(2, 3), 1, index_of(NOT_A_NUMBER)), LEAT_EARG, "the index at [0,2] is ");
    assert_refused(leat_gather(N(2, 3), 1, index_of(INF)), LEAT_EARG, "the index at [0,2] is inf");
    assert_refused(leat_gather(N(1, 3), 1, index_of(0)), LEAT_ESHAPE, "the index is larger than the first on axis 0");
    assert_refused(leat_gather(N(2, 0), 1, index_of(0)), LEAT_EARG, "the index at [0,0] is 0, axis 1 has the size 0");
    assert_refused(leat_scatter(N(2, 3), 1, index_of(0), N(2, 2)), LEAT_ESHAPE,
                   "scatter [2,3] x [2,3] x [2,2]: the third should be [2,3], a number for each index");
    assert_refused(leat_scatter(N(2, 3), 1, index_of(4), N(2, 3)), LEAT_EARG, "the index at [0,2] is 4");
    assert_refused(leat_scatter_add(N(2, 3), 1, index_of(4), N(2, 3)), LEAT_EARG,
                   "scatter_add [2,3] x [2,3] x [2,3]: the index at [0,2] is 4, axis 1 has the size 3");
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { ROWS = 300, COLUMNS = 130, DEPTH = 3 };

static void all_of_them(leat_tape *t, leat_real *value, leat_real *grad)
{
    leat_var x = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(ROWS, COLUMNS, DEPTH)))), index = leat_zeros_like(x);
    for (int i = 1; i < COLUMNS; i *= 3) /* a step at the middle of u for every i: indices that occur often */
        index = leat_where(leat_relu(leat_add_scalar(leat_rand(t, leat_var_shape(x)), -0.5)),
                           leat_full(t, leat_var_shape(x), i), index);
    leat_var y = leat_scatter_add(leat_scatter(x, 1, index, leat_tanh(x)), 1, index, leat_gather(x, 1, index));
    y = leat_pad(leat_permute(y, ORDER(2, 1, 0)), 1, 3, -2, 0.25);
    y = leat_mul(y, leat_permute(leat_permute(y, ORDER(1, 2, 0)), ORDER(2, 0, 1)));
    y = leat_repeat(y, TIMES(1, 2, 2));
    cr_assert_eq(leat_backward(leat_sum(leat_square(y))), LEAT_OK, "%s", leat_tape_errmsg(t));
    memcpy(value, leat_value(y).data, (size_t)count(y) * sizeof *value);
    memcpy(grad, leat_grad(x).data, (size_t)count(x) * sizeof *grad);
}

Test(shapes, threads_do_not_change_a_bit)
{
    static leat_real value[2][ROWS * (COLUMNS + 1) * DEPTH * 4], grad[2][ROWS * COLUMNS * DEPTH];
    for (int threads = 1; threads <= 3; threads++) {
        leat_pool *pool = leat_pool_new(threads, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool, .seed = 4 });
        all_of_them(t, value[threads > 1], grad[threads > 1]);
        cr_assert(threads == 1 || memcmp(value[0], value[1], sizeof value[0]) == 0, "%d threads", threads);
        cr_assert(threads == 1 || memcmp(grad[0], grad[1], sizeof grad[0]) == 0, "%d threads", threads);
        leat_tape_free(t);
        leat_pool_free(pool);
    }
}
