/* What the tests of values share: a tape, inputs written out, and comparisons with numbers written out. */
#ifndef LEAT_TESTS_AUTOGRAD_SUPPORT_H
#define LEAT_TESTS_AUTOGRAD_SUPPORT_H

#include <criterion/criterion.h>

#include "../../autograd/tape.h"

#include <float.h>
#include <math.h>
#include <string.h>

#ifdef LEAT_DOUBLE
#define EPS DBL_EPSILON
#define FMA fma
#else
#define EPS FLT_EPSILON
#define FMA fmaf
#endif
#define INF          ((double)INFINITY)
#define NOT_A_NUMBER ((double)NAN)

static leat_tape *tape;

static inline void setup(void)
{
    tape = leat_tape_new(NULL);
}

static inline void teardown(void)
{
    leat_tape_free(tape);
}

/* The numbers of a variable that has not failed. */
static inline const leat_real *data(leat_var v)
{
    cr_assert(leat_ok(v), "%s", leat_tape_errmsg(tape));
    return leat_value(v).data;
}

static inline int64_t count(leat_var v)
{
    leat_shape s = leat_var_shape(v);
    return leat_shape_count(&s);
}

static inline void assert_shape(leat_var v, leat_shape want)
{
    char text[LEAT_SHAPE_TEXT];
    data(v);
    leat_shape got = leat_var_shape(v);
    cr_assert(leat_shape_equal(&got, &want), "%s", leat_shape_print(&got, text));
}

static inline void assert_equal(const leat_real *got, const double *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        cr_assert(got[i] == (leat_real)want[i] || (isnan(got[i]) && isnan(want[i])), "element %d: %.9g, not %.9g",
                  (int)i, (double)got[i], want[i]);
}

static inline void assert_numbers(leat_var v, leat_shape shape, const double *want)
{
    assert_shape(v, shape);
    assert_equal(data(v), want, count(v));
}

#define NUMBERS(...) ((const double[]){ __VA_ARGS__ })
#define AXES(...)    (int)(sizeof((int[]){ __VA_ARGS__ }) / sizeof(int)), ((int[]){ __VA_ARGS__ })

static inline leat_var input(leat_shape shape, const double *x)
{
    leat_real real[256];
    for (int64_t i = 0; i < leat_shape_count(&shape); i++)
        real[i] = (leat_real)x[i];
    return leat_input(tape, (leat_tensor){ real, shape });
}

/* Small integers, so that sums are exact. */
static inline leat_var integers(leat_shape shape)
{
    double x[256];
    for (int i = 0; i < 256; i++)
        x[i] = (i * 37) % 101 - 50;
    return input(shape, x);
}

/* v failed, for that reason; the tape is ready for the next. */
static inline void assert_refused(leat_var v, leat_code code, const char *message)
{
    cr_assert_not(leat_ok(v), "not refused: %s", message);
    cr_assert_eq(leat_tape_code(tape), code, "%s", leat_tape_errmsg(tape));
    cr_assert_not_null(strstr(leat_tape_errmsg(tape), message), "\"%s\", not \"%s\"", leat_tape_errmsg(tape), message);
    cr_assert_eq(leat_arena_save(leat_tape_scratch(tape)).in_use, 0, "scratch is left as it was: %s", message);
    leat_tape_reset(tape);
}

/* The gradient of sum(weights * y), or of sum(y). */
static inline const leat_real *gradient(leat_var y, const double *weights, leat_var x)
{
    leat_var loss = weights ? leat_mul(y, input(leat_var_shape(y), weights)) : y;
    leat_clear_grads(tape);
    leat_var total = leat_sum(loss);
    cr_assert(leat_ok(total), "%s", leat_tape_errmsg(tape));
    leat_real one = 1; /* not leat_backward, which wants a loss that is finite */
    cr_assert_eq(leat_vjp(total, (leat_tensor){ &one, leat_shape_of(0, NULL) }), LEAT_OK, "%s", leat_tape_errmsg(tape));
    return leat_grad(x).data;
}

/* Where element i of `out` finds its operand. */
static inline int64_t operand_at(const leat_shape *out, int64_t i, const leat_shape *operand)
{
    int64_t at = 0, stride = 1;
    for (int axis = 1; axis <= out->rank; axis++) {
        int64_t size = out->size[out->rank - axis],
                own = axis <= operand->rank ? operand->size[operand->rank - axis] : 1;
        at += own == 1 ? 0 : i % size * stride;
        stride *= own;
        i /= size;
    }
    return at;
}

/* A line for each call that an op must refuse for its shapes, from a list R(call, words of the message). */
#define CHECK_REFUSED(call, words) check_refused((leat_tape_reset(tape), call), words);

static inline void check_refused(leat_var v, const char *words)
{
    cr_assert_not(leat_ok(v), "not refused: %s", words);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
    cr_assert_not_null(strstr(leat_tape_errmsg(tape), words), "%s", leat_tape_errmsg(tape));
}

#endif
