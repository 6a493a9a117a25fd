/*
 * The kernels: every instruction set against the reference, bit for bit, at sizes around the vectors' and with the
 * output on top of an input; and the reference against what kernels.h says.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "../../tensor/kernels/kernels.h"

#define LARGEST 10000
#define GUARD   16
#define CANARY  (leat_real)12345.678
#define INF     (double)INFINITY

static const int64_t edges[] = { 4095, 4096, 4097, LARGEST };
#define SIZES 75

static int64_t size_of(int s)
{
    return s <= 70 ? s : edges[s - 71];
}

static const leat_constants constants = { (leat_real)1.37, (leat_real)-0.6 };

/* Numbers with room around them, so that writes out of bounds are seen. Off by one from any alignment. */
typedef struct guarded {
    leat_real memory[LARGEST + 2 * GUARD];
} guarded;

static guarded a, b, c, g, expected, got; /* each test is a process of its own */

static leat_real *in(guarded *x)
{
    return x->memory + GUARD + 1;
}

/* Normal numbers of many sizes, and now and then one of the values that are easily got wrong. */
static void randomize(guarded *x, uint64_t stream)
{
    static const double odd[] = {
        0, -0.0, 1, -1, 1e-40, -1e-40, 1e30, -1e30, 88.8, -103.5, 710, -745, INF, -INF, (double)NAN,
    };
    leat_rng r = leat_rng_new(11, stream);
    for (int i = 0; i < LARGEST + 2 * GUARD; i++) {
        uint64_t pick = leat_rng_next(&r) % 64;
        double value = leat_rng_normal(&r) * exp2((double)(leat_rng_next(&r) % 12) - 6);
        x->memory[i] = (leat_real)(pick < sizeof odd / sizeof odd[0] ? odd[pick] : value);
    }
}

static void clear(guarded *x)
{
    for (int i = 0; i < LARGEST + 2 * GUARD; i++)
        x->memory[i] = CANARY;
}

/* Equal bits; any NaN equals any other. */
static int same(leat_real x, leat_real y)
{
    return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
}

/* The two agree everywhere, canaries included, of which there are some. */
static void compare(const char *isa, const char *what, int64_t n, const guarded *want, const guarded *have)
{
    for (int64_t i = 0; i < LARGEST + 2 * GUARD; i++)
        cr_assert(same(want->memory[i], have->memory[i]), "%s, %s of %d numbers: element %d is %a, not %a", isa, what,
                  (int)n, (int)(i - GUARD - 1), (double)have->memory[i], (double)want->memory[i]);
}

static void guards_hold(const char *what, int64_t n, const guarded *x)
{
    for (int64_t i = 0; i < LARGEST + 2 * GUARD; i++)
        cr_assert((i > GUARD && i <= GUARD + n) || same(x->memory[i], CANARY),
                  "the reference's %s of %d numbers writes to %d", what, (int)n, (int)(i - GUARD - 1));
}

#define EACH_SET(k)                                                                                                    \
    const leat_kernels *const *set = leat_kernels_all(), *k = *set;                                                    \
    k;                                                                                                                 \
    k = *++set

/* ---- elementwise, one input -------------------------------------------------------------------------------------- */

enum { READS_NONE = 0, READS_X = 1, READS_Y = 2, READS_XY = 3 };

static const struct {
    const char *name;
    int reads;
} unary[] = {
#define ROW(name, draws, value, derivative, reads) { #name, READS_##reads },
    LEAT_UNARY_LIST(ROW)
#undef ROW
};

Test(kernels, unary_forward)
{
    randomize(&a, 1);
    for (int op = 0; op < LEAT_UNARY_COUNT; op++) {
        for (int s = 0; s < SIZES; s++) {
            const int64_t n = size_of(s);
            clear(&expected);
            leat_kernels_ref.unary[op].forward(in(&a), in(&expected), n, constants);
            guards_hold(unary[op].name, n, &expected);
            for (EACH_SET(k)) {
                clear(&got);
                k->unary[op].forward(in(&a), in(&got), n, constants);
                compare(k->isa, unary[op].name, n, &expected, &got);
                clear(&got);
                memcpy(in(&got), in(&a), (size_t)n * sizeof(leat_real));
                k->unary[op].forward(in(&got), in(&got), n, constants);
                compare(k->isa, unary[op].name, n, &expected, &got);
            }
        }
    }
}

Test(kernels, unary_backward)
{
    randomize(&a, 2);
    randomize(&b, 3);
    randomize(&g, 4);
    for (int op = 0; op < LEAT_UNARY_COUNT; op++) {
        const leat_real *x = unary[op].reads & READS_X ? in(&a) : NULL;
        const leat_real *y = unary[op].reads & READS_Y ? in(&b) : NULL;
        for (int s = 0; s < SIZES; s++) {
            const int64_t n = size_of(s);
            const guarded *const inputs[] = { &a, &b, &g };
            clear(&expected);
            leat_kernels_ref.unary[op].backward(in(&a), in(&b), in(&g), in(&expected), n, constants);
            guards_hold(unary[op].name, n, &expected);
            for (EACH_SET(k)) {
                clear(&got);
                k->unary[op].backward(x, y, in(&g), in(&got), n, constants);
                compare(k->isa, unary[op].name, n, &expected, &got);
                for (int alias = 0; alias < 3; alias++) {
                    clear(&got);
                    memcpy(in(&got), inputs[alias]->memory + GUARD + 1, (size_t)n * sizeof(leat_real));
                    k->unary[op].backward(alias == 0 ? in(&got) : x, alias == 1 ? in(&got) : y,
                                          alias == 2 ? in(&got) : in(&g), in(&got), n, constants);
                    compare(k->isa, unary[op].name, n, &expected, &got);
                }
            }
        }
    }
}

/* ---- elementwise, two inputs ------------------------------------------------------------------------------------- */

static const char *const binary_names[] = {
#define ROW(name, ...) #name,
    LEAT_BINARY_LIST(ROW)
#undef ROW
};

static const char *const comparison_names[] = {
#define ROW(name, ...) #name,
    LEAT_COMPARISON_LIST(ROW)
#undef ROW
};

/* What forward, backward_a and backward_b have in common; forward does without y and g. */
static void run_binary(const leat_kernels *k, int op, int which, const leat_real *x, int sx, const leat_real *z, int sz,
                       leat_real *out, int64_t n)
{
    const leat_binary_kernel *kernel = &k->binary[op];
    if (which == 0)
        kernel->forward(x, sx, z, sz, out, n);
    else
        (which == 1 ? kernel->backward_a : kernel->backward_b)(x, sx, z, sz, in(&c), in(&g), out, n);
}

static void check_binary(int op, int which, int sx, int sz, int64_t n)
{
    clear(&expected);
    run_binary(&leat_kernels_ref, op, which, in(&a), sx, in(&b), sz, in(&expected), n);
    guards_hold(binary_names[op], n, &expected);
    for (EACH_SET(k)) {
        clear(&got);
        run_binary(k, op, which, in(&a), sx, in(&b), sz, in(&got), n);
        compare(k->isa, binary_names[op], n, &expected, &got);
        clear(&got);
        memcpy(in(&got), in(&a), (size_t)n * sizeof(leat_real));
        run_binary(k, op, which, in(&got), sx, in(&b), sz, in(&got), n);
        compare(k->isa, binary_names[op], n, &expected, &got);
        clear(&got);
        memcpy(in(&got), in(&b), (size_t)n * sizeof(leat_real));
        run_binary(k, op, which, in(&a), sx, in(&got), sz, in(&got), n);
        compare(k->isa, binary_names[op], n, &expected, &got);
    }
}

Test(kernels, binary)
{
    randomize(&a, 5);
    randomize(&b, 6);
    randomize(&c, 7);
    randomize(&g, 8);
    in(&a)[0] = (leat_real)1.25;
    in(&b)[0] = (leat_real)-2.75;
    for (int op = 0; op < LEAT_BINARY_COUNT; op++)
        for (int which = 0; which < 3; which++)
            for (int strides = 0; strides < 4; strides++)
                for (int s = 0; s < SIZES; s++)
                    check_binary(op, which, strides & 1, strides >> 1, size_of(s));
}

Test(kernels, comparisons)
{
    randomize(&a, 5);
    randomize(&b, 6);
    for (int i = 0; i < LARGEST; i += 3)
        in(&b)[i] = in(&a)[i];
    for (int op = 0; op < LEAT_COMPARISON_COUNT; op++) {
        for (int i = 0; i < 4 * SIZES; i++) {
            const int64_t n = size_of(i / 4);
            clear(&expected);
            leat_kernels_ref.comparison[op](in(&a), i & 1, in(&b), i >> 1 & 1, in(&expected), n);
            guards_hold(comparison_names[op], n, &expected);
            for (EACH_SET(k)) {
                clear(&got);
                k->comparison[op](in(&a), i & 1, in(&b), i >> 1 & 1, in(&got), n);
                compare(k->isa, comparison_names[op], n, &expected, &got);
            }
        }
    }
}

Test(kernels, binary_does_without_what_it_does_not_read)
{
    const leat_real one = 1, three = 3, two = 2;
    leat_real out;
    for (EACH_SET(k)) {
        k->binary[LEAT_BINARY_sub].backward_b(NULL, 1, NULL, 0, NULL, &one, &out, 1);
        cr_assert_eq(out, -1);
        k->binary[LEAT_BINARY_mul].backward_a(NULL, 0, &three, 0, NULL, &two, &out, 1);
        cr_assert_eq(out, 6);
    }
}

/* ---- elementwise, the others ------------------------------------------------------------------------------------- */

Test(kernels, fill_accumulate_where)
{
    randomize(&a, 9);
    randomize(&b, 10);
    randomize(&c, 11);
    for (int s = 0; s < SIZES; s++) {
        const int64_t n = size_of(s);
        for (EACH_SET(k)) {
            clear(&expected), clear(&got);
            for (int64_t i = 0; i < n; i++)
                in(&expected)[i] = (leat_real)2.5;
            k->fill(in(&got), n, (leat_real)2.5);
            compare(k->isa, "fill", n, &expected, &got);

            for (int64_t i = 0; i < n; i++)
                in(&expected)[i] += in(&a)[i];
            k->accumulate(in(&got), in(&a), n);
            compare(k->isa, "accumulate", n, &expected, &got);

            for (int strides = 0; strides < 8; strides++) {
                const int sc = strides & 1, sa = strides >> 1 & 1, sb = strides >> 2;
                clear(&expected), clear(&got);
                for (int64_t i = 0; i < n; i++)
                    in(&expected)[i] = in(&c)[sc * i] != 0 ? in(&a)[sa * i] : in(&b)[sb * i];
                k->where(in(&c), sc, in(&a), sa, in(&b), sb, in(&got), n);
                compare(k->isa, "where", n, &expected, &got);
            }
        }
    }
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

/* The order of summation as tensor.h describes it. */
static double sum_in_order(const leat_real *x, int64_t n)
{
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += 4096) {
        double lane[16] = { 0 };
        for (int64_t i = begin; i < n && i < begin + 4096; i++)
            lane[(i - begin) % 16] += (double)x[i];
        for (int width = 8; width >= 1; width /= 2)
            for (int j = 0; j < width; j++)
                lane[j] = lane[j] + lane[j + width];
        total += lane[0];
    }
    return total;
}

static void finite_numbers(guarded *x, uint64_t stream)
{
    leat_rng r = leat_rng_new(12, stream);
    for (int i = 0; i < LARGEST + 2 * GUARD; i++)
        x->memory[i] = (leat_real)(leat_rng_normal(&r) * exp2((double)(leat_rng_next(&r) % 20)));
}

Test(kernels, sum_has_its_order)
{
    finite_numbers(&a, 1);
    for (int s = 0; s < SIZES; s++) {
        for (EACH_SET(k)) {
            double have = k->sum(in(&a), size_of(s)), want = sum_in_order(in(&a), size_of(s));
            cr_assert(memcmp(&have, &want, sizeof have) == 0, "%s: sum of %d is %a, not %a", k->isa, (int)size_of(s),
                      have, want);
        }
    }
    cr_assert_eq(leat_sum_contiguous(in(&a), 1000), sum_in_order(in(&a), 1000));
    cr_assert_eq(leat_sum_contiguous(in(&a), 0), 0);
}

Test(kernels, sum_rows)
{
    static const int64_t rows[] = { 0, 1, 2, 7, 60 }, cols[] = { 0, 1, 3, 4, 7, 8, 9, 31, 32, 33, 64, 65, 100, 161 };
    finite_numbers(&a, 2);
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        for (int j = 0; j < (int)(sizeof cols / sizeof cols[0]); j++) {
            clear(&expected);
            for (int64_t column = 0; column < cols[j]; column++) {
                double sum = 0;
                for (int64_t row = 0; row < rows[i]; row++)
                    sum += (double)in(&a)[row * 163 + column];
                in(&expected)[column] = (leat_real)sum;
            }
            for (EACH_SET(k)) {
                clear(&got);
                k->sum_rows(in(&a), rows[i], cols[j], 163, in(&got));
                compare(k->isa, "sum_rows", rows[i] * cols[j], &expected, &got);
            }
        }
    }
}

Test(kernels, subtract_scaled)
{
    double x[40], y[41], want[41];
    leat_rng r = leat_rng_new(13, 1);
    for (int64_t n = 0; n <= 40; n++) {
        for (EACH_SET(k)) {
            for (int i = 0; i < 40; i++)
                x[i] = leat_rng_normal(&r);
            for (int i = 0; i < 41; i++) {
                y[i] = leat_rng_normal(&r);
                want[i] = i < n ? fma(-0.37, x[i], y[i]) : y[i];
            }
            k->subtract_scaled(y, 0.37, x, n);
            cr_assert_eq(memcmp(y, want, sizeof y), 0, "%s, %d numbers", k->isa, (int)n);
        }
    }
}

Test(kernels, max)
{
    finite_numbers(&a, 3);
    for (int s = 1; s < SIZES; s++) {
        const int64_t n = size_of(s);
        leat_real want = (leat_real)-INFINITY;
        for (int64_t i = 0; i < n; i++)
            want = in(&a)[i] > want ? in(&a)[i] : want;
        for (EACH_SET(k)) {
            cr_assert(same(k->max(in(&a), n), want), "%s: max of %d", k->isa, (int)n);
            for (int64_t i = 0; i < n; i += 1 + n / 50) {
                leat_real kept = in(&a)[i];
                in(&a)[i] = (leat_real)NAN;
                cr_assert(isnan(k->max(in(&a), n)), "%s: NaN at %d of %d", k->isa, (int)i, (int)n);
                in(&a)[i] = (leat_real)INFINITY;
                cr_assert_eq(k->max(in(&a), n), (leat_real)INFINITY);
                in(&a)[i] = kept;
            }
        }
    }
}

Test(kernels, max_of_zeros_and_of_nothing_but_minus_infinity)
{
    leat_real zeros[20], low[20];
    for (int i = 0; i < 20; i++)
        zeros[i] = i % 3 ? (leat_real)-0.0 : 0, low[i] = (leat_real)-INFINITY;
    for (EACH_SET(k)) {
        for (int n = 1; n <= 19; n++) {
            cr_assert(same(k->max(zeros + 1, n), 0), "%s: of %d zeros", k->isa, n);
            cr_assert_eq(k->max(low, n), (leat_real)-INFINITY);
            cr_assert_eq(k->logsumexp(low, n), (leat_real)-INFINITY);
        }
    }
}

Test(kernels, logsumexp)
{
    finite_numbers(&a, 4);
    for (int i = 0; i < LARGEST; i++)
        in(&a)[i] = (leat_real)fmod((double)in(&a)[i], 20);
    for (int s = 1; s < SIZES; s++) {
        const int64_t n = size_of(s);
        long double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += expl((long double)in(&a)[i]);
        const double want = (double)logl(sum);
        const double slack = (sizeof(leat_real) == 8 ? 0x1p-51 : 0x1p-22) * fmax(1, fabs(want));
        const leat_real reference = leat_kernels_ref.logsumexp(in(&a), n);
        cr_assert_leq(fabs((double)reference - want), slack, "of %d: %.17g, not %.17g", (int)n, (double)reference,
                      want);
        for (EACH_SET(k))
            cr_assert(same(k->logsumexp(in(&a), n), reference), "%s: logsumexp of %d", k->isa, (int)n);
    }
    for (EACH_SET(k)) {
        in(&a)[50] = (leat_real)-INFINITY;
        cr_assert(isfinite(k->logsumexp(in(&a), 100)));
        in(&a)[50] = (leat_real)INFINITY;
        cr_assert_eq(k->logsumexp(in(&a), 100), (leat_real)INFINITY);
        in(&a)[51] = (leat_real)NAN;
        cr_assert(isnan(k->logsumexp(in(&a), 100)));
        in(&a)[51] = 0;
    }
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

Test(kernels, every_table_is_full)
{
    for (EACH_SET(k)) {
        for (int op = 0; op < LEAT_UNARY_COUNT; op++)
            cr_assert(k->unary[op].forward && k->unary[op].backward);
        for (int op = 0; op < LEAT_BINARY_COUNT; op++)
            cr_assert(k->binary[op].forward && k->binary[op].backward_a && k->binary[op].backward_b);
        for (int op = 0; op < LEAT_COMPARISON_COUNT; op++)
            cr_assert(k->comparison[op]);
        cr_assert(k->fill && k->accumulate && k->where && k->sum && k->sum_rows && k->max && k->logsumexp);
        for (int step = 0; step < LEAT_STEP_COUNT; step++)
            cr_assert(k->step[step]);
        cr_assert(k->gemm && k->subtract_scaled);
    }
    cr_assert_eq(leat_kernels_all()[0], &leat_kernels_ref);
}
