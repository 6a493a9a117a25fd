/* What the ops refuse: every one says its name, the shapes and the reason. */
#include <criterion/criterion.h>

#include "../../autograd/tape.h"

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

TestSuite(refusals, .init = setup, .fini = teardown);

#define AXES(...)  (int)(sizeof((int[]){ __VA_ARGS__ }) / sizeof(int)), ((int[]){ __VA_ARGS__ })
#define INDEX(...) ((leat_index){ (int64_t[]){ __VA_ARGS__ }, (int64_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / 8) })
#define N(...)     leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))
#define V(...)     ((leat_var[]){ __VA_ARGS__ })
#define SCALAR     leat_scalar(tape, 1)

/* Empty, and as wide as any shape may be. */
#define WIDE leat_const(tape, (leat_tensor){ NULL, LEAT_SHAPE(0, PTRDIFF_MAX / (int64_t)sizeof(leat_real)) })

#define REFUSALS(R)                                                                                                    \
    R(leat_add(N(2, 3), N(2, 4)), ESHAPE, "add [2,3] x [2,4]: the shapes do not broadcast")                            \
    R(leat_add(N(2), V({ 0 })[0]), ESTATE, "add: input 1 is absent")                                                   \
    R(leat_matmul(N(2, 2), V({ 0 })[0]), ESTATE, "matmul: input 1 is absent")                                          \
    R(leat_sub(N(2, 3), N(3, 3)), ESHAPE, "sub [2,3] x [3,3]: the shapes do not broadcast")                            \
    R(leat_mul(N(2), N(3)), ESHAPE, "mul [2] x [3]: the shapes do not broadcast")                                      \
    R(leat_div(N(2), N(3)), ESHAPE, "div [2] x [3]: the shapes do not broadcast")                                      \
    R(leat_add(N(2, 3), leat_zeros(tape, LEAT_SHAPE(2))), ESHAPE, "add [2,3] x [2]: the shapes do not broadcast")      \
    R(leat_where(N(2), N(3), N(3)), ESHAPE, "where [2] x [3] x [3]: the shapes do not broadcast")                      \
    R(leat_where(N(1), N(2), N(3)), ESHAPE, "where [1] x [2] x [3]: the shapes do not broadcast")                      \
    R(leat_activate(N(2), (leat_activation)99), EARG, "activate: there is no activation 99")                           \
    R(leat_linear(N(2, 2), N(3, 2), V({ 0 })[0], (leat_activation)99), EARG, "activate: there is no activation 99")    \
    R(leat_matmul(N(2, 3), N(2, 3)), ESHAPE, "matmul [2,3] x [2,3]: inner sizes differ: 3 and 2")                      \
    R(leat_matmul_t(N(2, 3), N(3, 2), true, false), ESHAPE,                                                            \
      "matmul [2,3] x [3,2]: inner sizes differ: 2 and 3, after transposing")                                          \
    R(leat_matmul(N(2, 3), SCALAR), ESHAPE, "matmul [2,3] x []: the second factor is no matrix")                       \
    R(leat_matmul(SCALAR, N(3, 3)), ESHAPE, "matmul [] x [3,3]: the first factor is no matrix")                        \
    R(leat_matmul_t(N(2, 3), N(3), false, true), ESHAPE, "matmul [2,3] x [3]: the second factor is no matrix")         \
    R(leat_matmul_t(N(3), N(3, 2), true, false), ESHAPE, "matmul [3] x [3,2]: the first factor is no matrix")          \
    R(leat_matmul(N(2, 3), N(2, 2, 3)), ESHAPE, "bmm [2,3] x [2,2,3]: inner sizes differ: 3 and 2")                    \
    R(leat_linear(N(2, 3), N(4, 2), N(4), LEAT_RELU), ESHAPE,                                                          \
      "linear [2,3] x [4,2] x [4]: the input has 3 features, the weight takes 2")                                      \
    R(leat_linear(N(2, 3), N(4, 3), N(3), LEAT_RELU), ESHAPE,                                                          \
      "linear [2,3] x [4,3] x [3]: the bias is not [4], one for each output")                                          \
    R(leat_linear(N(2, 3), N(4, 3), N(1, 4), LEAT_RELU), ESHAPE,                                                       \
      "linear [2,3] x [4,3] x [1,4]: the bias is not [4], one for each output")                                        \
    R(leat_linear(N(2, 3), N(3), V({ 0 })[0], LEAT_RELU), ESHAPE, "linear [2,3] x [3] x -: the weight is no matrix")   \
    R(leat_linear(SCALAR, N(3, 1), V({ 0 })[0], LEAT_RELU), ESHAPE,                                                    \
      "linear [] x [3,1] x -: the input has no feature axis")                                                          \
    R(leat_sum_axes(N(2, 3), AXES(2), false), ESHAPE, "sum [2,3]: axis 2 of a tensor of rank 2")                       \
    R(leat_sum_axes(leat_zeros(tape, LEAT_SHAPE(2, 3)), AXES(2), false), ESHAPE,                                       \
      "sum [2,3]: axis 2 of a tensor of rank 2")                                                                       \
    R(leat_sum_axes(N(2, 3), AXES(1, -1), false), ESHAPE, "sum [2,3]: axis -1 is named twice")                         \
    R(leat_sum_axes(N(2, 1), AXES(0, 1, 0, 1, 0, 1, 0, 1, 0), true), ESHAPE, "sum [2,1]: axis 0 is named twice")       \
    R(leat_mean_axes(N(2, 3), AXES(-3), false), ESHAPE, "mean [2,3]: axis -3 of a tensor of rank 2")                   \
    R(leat_logsumexp(N(2, 3), AXES(0, 0), false), ESHAPE, "logsumexp [2,3]: axis 0 is named twice")                    \
    R(leat_sum_features(SCALAR), ESHAPE, "sum_features []: there is no batch axis")                                    \
    R(leat_reshape(N(2, 3), LEAT_SHAPE(5)), ESHAPE, "reshape [2,3]: 6 numbers do not make [5]")                        \
    R(leat_reshape(N(2, 3), LEAT_SHAPE(4, -1)), ESHAPE, "reshape [2,3]: 6 numbers do not make [4,-1]")                 \
    R(leat_reshape(N(2, 3), LEAT_SHAPE(-1, -1)), ESHAPE, "reshape [2,3]: 6 numbers do not make [-1,-1]")               \
    R(leat_reshape(N(2, 3), LEAT_SHAPE(-2, -3)), ESHAPE, "reshape [2,3]: 6 numbers do not make [-2,-3]")               \
    R(leat_reshape(N(0, 3), LEAT_SHAPE(0, -1)), ESHAPE, "reshape [0,3]: 0 numbers do not make [0,-1]")                 \
    R(leat_reshape(N(1), LEAT_SHAPE(1, 1, 1, 1, 1, 1, 1)), ESHAPE, "reshape [1]: 1 numbers do not make [1,1,1,1,1,1]") \
    R(leat_broadcast_to(N(2, 3), LEAT_SHAPE(3)), ESHAPE, "broadcast_to [2,3]: it does not broadcast to [3]")           \
    R(leat_broadcast_to(N(3), LEAT_SHAPE(2, 1)), ESHAPE, "broadcast_to [3]: it does not broadcast to [2,1]")           \
    R(leat_broadcast_to(N(3), LEAT_SHAPE(1, 1, 1, 1, 1, 1, 3)), ESHAPE, "broadcast_to [3]: it does not broadcast to ") \
    R(leat_broadcast_to(N(1), LEAT_SHAPE(-2)), ENOMEM,                                                                 \
      "broadcast_to [1]: no memory could hold the result's shape [-2]")                                                \
    R(leat_slice(N(2, 3), 2, 0, 1), ESHAPE, "slice [2,3]: axis 2 of a tensor of rank 2")                               \
    R(leat_slice(SCALAR, 0, 0, 1), ESHAPE, "slice []: axis 0 of a tensor of rank 0")                                   \
    R(leat_slice(N(2, 3), 1, 2, 2), ESHAPE, "slice [2,3]: 2 from 2 on, but axis 1 has the size 3")                     \
    R(leat_slice(N(2, 3), -1, 4, 0), ESHAPE, "slice [2,3]: 0 from 4 on, but axis -1 has the size 3")                   \
    R(leat_slice(N(2, 3), 0, -1, 1), ESHAPE, "slice [2,3]: 1 from -1 on, but axis 0 has the size 2")                   \
    R(leat_slice(N(2, 3), 0, 1, -1), ESHAPE, "slice [2,3]: -1 from 1 on, but axis 0 has the size 2")                   \
    R(leat_slice(N(2, 3), 0, 1, INT64_MAX), ESHAPE, "slice [2,3]: 9223372036854775807 from 1 on, but")                 \
    R(leat_concat(2, V(N(2, 3), N(3, 3)), 1), ESHAPE, "concat [2,3] x [3,3]: sizes differ elsewhere than on axis 1")   \
    R(leat_concat(2, V(N(2, 3), N(2)), 0), ESHAPE, "concat [2,3] x [2]: sizes differ elsewhere than on axis 0")        \
    R(leat_concat(2, V(N(2), N(2)), 1), ESHAPE, "concat [2] x [2]: axis 1 of a tensor of rank 1")                      \
    R(leat_concat(17, V(N(2), N(2)), 0), EARG, "concat: 17 inputs, at most 16")                                        \
    R(leat_concat(9, V(WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE), 1), ENOMEM,                              \
      "the sizes on axis 1 add up to too much")                                                                        \
    R(leat_concat(2, V(WIDE, WIDE), 1), ENOMEM, "no memory could hold the result's shape [0,")                         \
    R(leat_index_select(N(2, 3), -3, INDEX(0)), ESHAPE, "index_select [2,3]: axis -3 of a tensor of rank 2")           \
    R(leat_index_select(N(2, 3), 1, INDEX(0, 3)), EARG,                                                                \
      "index_select [2,3]: index 1 of the list is 3, axis 1 has the size 3")                                           \
    R(leat_index_select(N(2, 3), -2, INDEX(-1)), EARG,                                                                 \
      "index_select [2,3]: index 0 of the list is -1, axis -2 has the size 2")                                         \
    R(leat_index_copy(N(2, 3), 2, INDEX(0), N(2, 1)), ESHAPE,                                                          \
      "index_copy [2,3] x [2,1]: axis 2 of a tensor of rank 2")                                                        \
    R(leat_index_copy(N(2, 3), 1, INDEX(5), N(2, 1)), EARG,                                                            \
      "index_copy [2,3] x [2,1]: index 0 of the list is 5, axis 1 has the size 3")                                     \
    R(leat_index_copy(N(2, 3), 1, INDEX(2, 0, 2), N(2, 3)), EARG,                                                      \
      "index_copy [2,3] x [2,3]: index 2 of the list is 2, for the second time")                                       \
    R(leat_index_copy(N(2, 3), 1, INDEX(2, 0), N(2, 3)), ESHAPE,                                                       \
      "index_copy [2,3] x [2,3]: the second should be [2,2], one slice for each index")                                \
    R(leat_index_add(N(2, 3), 1, INDEX(0, 0), N(2, 1)), ESHAPE,                                                        \
      "index_add [2,3] x [2,1]: the second should be [2,2], one slice for each index")                                 \
    R(leat_index_add(N(2, 3), 0, INDEX(2), N(1, 3)), EARG,                                                             \
      "index_add [2,3] x [1,3]: index 0 of the list is 2, axis 0 has the size 2")                                      \
    R(leat_index_add(N(2, 3), 5, INDEX(2), N(1, 3)), ESHAPE, "index_add [2,3] x [1,3]: axis 5 of a tensor of rank 2")  \
    R(leat_glu(N(2, 3), (leat_var){ 0 }), ESHAPE, "glu [2,3] x -: the last axis has no two halves")                    \
    R(leat_glu(N(2, 4), N(2, 4)), ESHAPE, "glu [2,4] x [2,4]: the residual has another shape than the result")         \
    R(leat_exp(leat_index_select(N(2), 7, INDEX(0))), ESHAPE, "index_select [2]: axis 7 of a tensor of rank 1")

static const struct {
    leat_code code;
    const char *message;
} refusals[] = {
#define ROW(call, code, message) { LEAT_##code, message },
    REFUSALS(ROW)
};
enum { REFUSED = sizeof refusals / sizeof *refusals };

static leat_var refused(int index)
{
    int i = 0;
#define TRY(call, ...)                                                                                                 \
    if (i++ == index)                                                                                                  \
        return call;
    REFUSALS(TRY)
    return leat_scalar(tape, 0);
}

Test(refusals, refusals_say_the_op_the_shapes_and_the_reason)
{
    for (int i = 0; i < REFUSED; i++) {
        leat_tape_reset(tape);
        leat_var v = refused(i);
        const char *got = leat_tape_errmsg(tape), *want = refusals[i].message;
        cr_assert_not(leat_ok(v), "not refused: %s", want);
        cr_assert_eq(leat_tape_code(tape), refusals[i].code, "%s", got);
        cr_assert_not_null(strstr(got, want), "\"%s\", not \"%s\"", got, want);
        cr_assert_eq(leat_arena_save(leat_tape_scratch(tape)).in_use, 0, "scratch is left as it was: %s", want);
    }
}
