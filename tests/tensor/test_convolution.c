/*
 * Convolutions and their gradients against loops in the promised order, bit for bit: every kernel table, several pool
 * sizes, shapes on all sides of every choice that is made among ways to compute them.
 */
#include "../../tensor/kernels/convolution.h"
#include "numbers.h"

#include <math.h>
#include <stdio.h>

#ifdef LEAT_DOUBLE
#define FMA fma
#else
#define FMA fmaf
#endif

TestSuite(convolution, .init = set_up, .fini = tear_down);

/* The arrays of one convolution; `want` and `got` have room for any result. */
typedef struct arrays {
    leat_real *x, *weight, *bias, *dy, *want, *got;
    size_t x_count, weight_count, y_count, most;
} arrays;

static leat_real *drawn(size_t count)
{
    leat_real *a = guarded(count);
    for (size_t i = 0; i < count; i++)
        a[i] = number();
    return a;
}

static arrays arrays_of(const leat_conv *v)
{
    arrays a = { .x_count = (size_t)(v->batch * v->size[0] * v->size[1] * v->in),
                 .weight_count = (size_t)(v->out * v->in * v->kernel[0] * v->kernel[1]),
                 .y_count = (size_t)(v->batch * v->result[0] * v->result[1] * v->out) };
    a.most = a.x_count > a.weight_count ? a.x_count : a.weight_count;
    a.most = a.most > a.y_count ? a.most : a.y_count;
    a.x = drawn(a.x_count), a.weight = drawn(a.weight_count), a.bias = drawn((size_t)v->out), a.dy = drawn(a.y_count);
    a.want = drawn(a.most), a.got = drawn(a.most);
    return a;
}

static void release_arrays(const leat_conv *v, arrays *a)
{
    release(a->x, a->x_count), release(a->weight, a->weight_count), release(a->bias, (size_t)v->out);
    release(a->dy, a->y_count), release(a->want, a->most), release(a->got, a->most);
}

/* Element c of a place of images [batch, size, channels], or the 0 beyond their edges. */
static leat_real at(const leat_real *x, const int64_t size[2], int64_t channels, int64_t image, int64_t row,
                    int64_t col, int64_t c)
{
    bool inside = row >= 0 && row < size[0] && col >= 0 && col < size[1];
    return inside ? x[((image * size[0] + row) * size[1] + col) * channels + c] : 0;
}

static leat_real weight_at(const leat_conv *v, const leat_real *w, int64_t o, int64_t i, int64_t r, int64_t c)
{
    return w[((o * v->in + i) * v->kernel[0] + r) * v->kernel[1] + c];
}

/* Element [image, row, col, o] of the result. */
static leat_real forward_sum(const leat_conv *v, const arrays *a, int64_t image, int64_t row, int64_t col, int64_t o)
{
    leat_real sum = 0;
    for (int64_t r = 0; r < v->kernel[0]; r++)
        for (int64_t c = 0; c < v->kernel[1]; c++)
            for (int64_t i = 0; i < v->in; i++)
                sum = FMA(at(a->x, v->size, v->in, image, row * v->stride[0] + r - v->padding[0],
                             col * v->stride[1] + c - v->padding[1], i),
                          weight_at(v, a->weight, o, i, r, c), sum);
    return sum;
}

/* Element [image, row, col, i] of dx: taps in falling order, so that results come in rising order. */
static leat_real input_sum(const leat_conv *v, const arrays *a, int64_t image, int64_t row, int64_t col, int64_t i)
{
    leat_real sum = 0;
    for (int64_t r = v->kernel[0] - 1; r >= 0; r--)
        for (int64_t c = v->kernel[1] - 1; c >= 0; c--) {
            int64_t y = row + v->padding[0] - r, x = col + v->padding[1] - c;
            if (y % v->stride[0] || x % v->stride[1])
                continue;
            for (int64_t o = 0; o < v->out; o++)
                sum = FMA(at(a->dy, v->result, v->out, image, y / v->stride[0], x / v->stride[1], o),
                          weight_at(v, a->weight, o, i, r, c), sum);
        }
    return sum;
}

/* Element [o, i, r, c] of dw. */
static leat_real weight_sum(const leat_conv *v, const arrays *a, int64_t o, int64_t i, int64_t r, int64_t c)
{
    leat_real sum = 0;
    for (int64_t image = 0; image < v->batch; image++)
        for (int64_t row = 0; row < v->result[0]; row++)
            for (int64_t col = 0; col < v->result[1]; col++)
                sum = FMA(at(a->dy, v->result, v->out, image, row, col, o),
                          at(a->x, v->size, v->in, image, row * v->stride[0] + r - v->padding[0],
                             col * v->stride[1] + c - v->padding[1], i),
                          sum);
    return sum;
}

typedef leat_real sum_at(const leat_conv *v, const arrays *a, int64_t i, int64_t j, int64_t k, int64_t l);

static void fill(const leat_conv *v, const arrays *a, sum_at *sum, const int64_t size[4])
{
    leat_real *to = a->want;
    for (int64_t i = 0; i < size[0] * size[1]; i++)
        for (int64_t j = 0; j < size[2]; j++)
            for (int64_t k = 0; k < size[3]; k++)
                *to++ = sum(v, a, i / size[1], i % size[1], j, k);
}

static void finish(const leat_conv *v, const arrays *a, bool bias, leat_activation activation)
{
    leat_activation_op f = leat_activation_op_of(activation);
    for (size_t i = 0; i < a->y_count; i++)
        a->want[i] = bias ? a->want[i] + a->bias[(int64_t)i % v->out] : a->want[i];
    for (size_t i = 0; i < a->y_count && f.unary >= 0; i++)
        leat_kernels_all()[0]->unary[f.unary].forward(a->want + i, a->want + i, 1, f.k);
}

static const char *describe(const leat_conv *v, int threads)
{
    static char text[300];
    snprintf(text, sizeof text, "%d of [%d,%d] %d->%d, kernel [%d,%d], stride %d %d, padding %d %d, %s, %d threads",
             (int)v->batch, (int)v->size[0], (int)v->size[1], (int)v->in, (int)v->out, (int)v->kernel[0],
             (int)v->kernel[1], (int)v->stride[0], (int)v->stride[1], (int)v->padding[0], (int)v->padding[1],
             v->kernels->isa, threads);
    return text;
}

static void check_one(leat_conv *v, const arrays *a, int what, bool bias, leat_activation activation, int pool)
{
    static const char *const names[] = { "result", "input gradient", "weight gradient" };
    const size_t counts[] = { a->y_count, a->x_count, a->weight_count };
    memset(a->got, 0x7f, a->most * sizeof *a->got);
    leat_code code = what == 0   ? leat_conv_forward(pools[pool], &scratch, v, a->x, a->weight, bias ? a->bias : NULL,
                                                     activation, a->got)
                     : what == 1 ? leat_conv_input_gradient(pools[pool], &scratch, v, a->dy, a->weight, a->got)
                                 : leat_conv_weight_gradient(pools[pool], &scratch, v, a->dy, a->x, a->got);
    cr_assert_eq(code, LEAT_OK);
    cr_assert_eq(scratch.in_use, 0);
    cr_assert(memcmp(a->got, a->want, counts[what] * sizeof *a->got) == 0, "%s, %s", names[what],
              describe(v, pool_sizes[pool]));
}

static void check(leat_conv v, bool bias, leat_activation activation)
{
    for (int i = 0; i < 2; i++) {
        cr_assert(v.size[i] + 2 * v.padding[i] >= v.kernel[i]);
        v.result[i] = (v.size[i] + 2 * v.padding[i] - v.kernel[i]) / v.stride[i] + 1;
    }
    arrays a = arrays_of(&v);
    for (int what = 0; what < 3; what++) {
        if (what == 0)
            fill(&v, &a, forward_sum, (int64_t[]){ v.batch, v.result[0], v.result[1], v.out });
        else if (what == 1)
            fill(&v, &a, input_sum, (int64_t[]){ v.batch, v.size[0], v.size[1], v.in });
        else
            fill(&v, &a, weight_sum, (int64_t[]){ v.out, v.in, v.kernel[0], v.kernel[1] });
        if (what == 0)
            finish(&v, &a, bias, activation);
        for (const leat_kernels *const *kernels = leat_kernels_all(); *kernels; kernels++)
            for (int pool = 0; pool < POOLS; pool++) {
                v.kernels = *kernels;
                check_one(&v, &a, what, bias, activation, pool);
            }
    }
    release_arrays(&v, &a);
}

/* The shapes of the models, with fewer images. */
Test(convolution, models)
{
    static const int64_t shapes[][5] = { { 14, 14, 2, 128, 3 }, { 7, 7, 4, 40, 3 },    { 14, 14, 128, 4, 3 },
                                         { 7, 7, 64, 8, 3 },    { 28, 28, 32, 32, 3 }, { 28, 28, 3, 32, 3 },
                                         { 14, 14, 64, 64, 1 }, { 28, 14, 48, 48, 3 }, { 28, 14, 32, 64, 1 } };
    for (int i = 0; i < (int)(sizeof shapes / sizeof *shapes); i++) {
        const int64_t *s = shapes[i];
        check((leat_conv){ .batch = 1,
                           .size = { s[0], s[1] },
                           .in = s[2],
                           .out = s[3],
                           .kernel = { s[4], s[4] },
                           .stride = { 1, 1 },
                           .padding = { s[4] / 2, s[4] / 2 } },
              i % 2, i % 3 == 0 ? LEAT_RELU : LEAT_IDENTITY);
    }
}

static int64_t pick(const int64_t *from, int count)
{
    return from[bits() % (uint64_t)count];
}

/* Sizes of all kinds together: strides larger than the kernel, more padding than image, none of everything. */
Test(convolution, sampled)
{
    static const int64_t channels[] = { 0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 33 };
    static const int64_t sizes[] = { 1, 2, 3, 5, 7, 8, 13, 14, 17, 29 };
    for (int i = 0; i < 100;) {
        leat_conv v = { .batch = (int64_t)(bits() % 4), .in = pick(channels, 13), .out = pick(channels, 13) };
        bool fits = true;
        for (int j = 0; j < 2; j++) {
            v.size[j] = pick(sizes, 10), v.kernel[j] = 1 + (int64_t)(bits() % 4);
            v.stride[j] = bits() % 2 ? 1 : 1 + (int64_t)(bits() % 3), v.padding[j] = (int64_t)(bits() % 4);
            fits &= v.size[j] + 2 * v.padding[j] >= v.kernel[j];
        }
        double work = (double)(v.batch * v.in * v.out * v.size[0] * v.size[1] * v.kernel[0] * v.kernel[1]);
        if (!fits || work > 3e5)
            continue;
        bool bias = bits() % 2;
        check(v, bias, (leat_activation)(bits() % 4));
        i++;
    }
}

/* Patches written down would take 4.5 MB here (9 MB in double). */
Test(convolution, takes_little_memory)
{
    static leat_real x[16 * 16 * 16 * 32], y[16 * 16 * 16 * 32], w[32 * 32 * 9];
    leat_conv v = { 16, 32, 32, { 16, 16 }, { 3, 3 }, { 16, 16 }, { 1, 1 }, { 1, 1 }, NULL };
    leat_arena own;
    leat_arena_init(&own, NULL);
    cr_assert_eq(leat_conv_forward(pools[1], &own, &v, x, w, NULL, LEAT_IDENTITY, y), LEAT_OK);
    cr_assert_eq(leat_conv_input_gradient(pools[1], &own, &v, y, w, x), LEAT_OK);
    cr_assert_eq(leat_conv_weight_gradient(pools[1], &own, &v, y, x, w), LEAT_OK);
    cr_assert_leq(own.peak, 64 * 1024 * sizeof(leat_real));
    leat_arena_free(&own);
}

static void *no_memory(void *user, size_t size)
{
    (void)user, (void)size;
    return NULL;
}

static void release_nothing(void *user, void *block)
{
    (void)user, (void)block;
}

Test(convolution, out_of_memory)
{
    static leat_real x[2 * 5 * 5 * 3], w[3 * 3 * 3 * 3], y[2 * 5 * 5 * 3];
    leat_conv v = { 2, 3, 3, { 5, 5 }, { 3, 3 }, { 5, 5 }, { 1, 1 }, { 1, 1 }, NULL };
    leat_arena none;
    leat_arena_init(&none, &(leat_allocator){ no_memory, release_nothing, NULL });
    cr_assert_eq(leat_conv_forward(NULL, &none, &v, x, w, NULL, LEAT_IDENTITY, y), LEAT_ENOMEM);
    cr_assert_eq(leat_conv_input_gradient(NULL, &none, &v, y, w, x), LEAT_ENOMEM);
    cr_assert_eq(leat_conv_weight_gradient(NULL, &none, &v, y, x, w), LEAT_ENOMEM);
    leat_arena_free(&none);
}
