/*
 * See conv.h. Each image's patches become the rows of a matrix, and the convolution a product of leat_gemm.
 *
 * The input gradient is a convolution of dy at stride 1 for every remainder of a place by the stride: the taps that reach
 * such places, in falling order.
 */
#include "conv.h"

#include <string.h>

/* A convolution with its taps: image row Y * step + tap - before, where that is one. */
typedef struct sweep {
    int64_t in, size[2], taps[2], step[2], before[2], result[2];
} sweep;

static int64_t positions(const int64_t size[2])
{
    return size[0] * size[1];
}

static leat_real *take(leat_arena *scratch, int64_t count)
{
    return leat_arena_alloc(scratch, (size_t)count * sizeof(leat_real));
}

static void patches(const sweep *s, const leat_real *x, leat_real *out)
{
    for (int64_t i = 0; i < positions(s->result); i++)
        for (int64_t tap = 0; tap < positions(s->taps); tap++, out += s->in) {
            int64_t row = i / s->result[1] * s->step[0] + tap / s->taps[1] - s->before[0];
            int64_t col = i % s->result[1] * s->step[1] + tap % s->taps[1] - s->before[1];
            if (row >= 0 && row < s->size[0] && col >= 0 && col < s->size[1])
                memcpy(out, x + (row * s->size[1] + col) * s->in, (size_t)s->in * sizeof *out);
            else
                memset(out, 0, (size_t)s->in * sizeof *out);
        }
}

static sweep forward_sweep(const leat_conv *v)
{
    sweep s = { .in = v->in };
    for (int i = 0; i < 2; i++) {
        s.size[i] = v->size[i], s.taps[i] = v->kernel[i], s.step[i] = v->stride[i];
        s.before[i] = v->padding[i], s.result[i] = v->result[i];
    }
    return s;
}

leat_code leat_conv_forward(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *x,
                            const leat_real *weight, const leat_real *bias, leat_activation activation, leat_real *y)
{
    sweep s = forward_sweep(v);
    int64_t taps = positions(s.taps), k = taps * v->in, m = positions(s.result);
    leat_arena_mark mark = leat_arena_save(scratch);
    leat_real *b = take(scratch, k * v->out), *a = take(scratch, m * k);
    leat_code code = a && b ? LEAT_OK : LEAT_ENOMEM;
    for (int64_t o = 0; o < v->out && !code; o++)
        for (int64_t i = 0; i < v->in; i++)
            for (int64_t tap = 0; tap < taps; tap++)
                b[(tap * v->in + i) * v->out + o] = weight[(o * v->in + i) * taps + tap];
    for (int64_t n = 0; n < v->batch && !code; n++) {
        patches(&s, x + n * positions(v->size) * v->in, a);
        code = leat_gemm(pool, scratch,
                         &(leat_gemm_args){ .m = m,
                                            .n = v->out,
                                            .k = k,
                                            .lda = k,
                                            .ldb = v->out,
                                            .ldc = v->out,
                                            .a = a,
                                            .b = b,
                                            .bias = bias,
                                            .activation = activation,
                                            .c = y + n * m * v->out });
    }
    leat_arena_restore(scratch, mark);
    return code;
}

/* The places whose remainders by the stride are `phase`: what reaches them, and the first tap of the kernel that does. */
static sweep phase_sweep(const leat_conv *v, const int64_t phase[2], int64_t first[2])
{
    sweep s = { .in = v->out, .step = { 1, 1 } };
    for (int i = 0; i < 2; i++) {
        int64_t at = phase[i] + v->padding[i], stride = v->stride[i];
        first[i] = at % stride;
        s.size[i] = v->result[i];
        s.taps[i] = first[i] < v->kernel[i] ? (v->kernel[i] - first[i] - 1) / stride + 1 : 0;
        s.before[i] = s.taps[i] - 1 - at / stride;
        s.result[i] = phase[i] < v->size[i] ? (v->size[i] - phase[i] - 1) / stride + 1 : 0;
    }
    return s;
}

static leat_code phase_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *dy,
                                const leat_real *weight, const int64_t phase[2], leat_real *dx)
{
    int64_t first[2];
    sweep s = phase_sweep(v, phase, first);
    int64_t taps = positions(s.taps), k = taps * v->out, m = positions(s.result), n = v->in;
    leat_real *b = take(scratch, k * n), *a = take(scratch, m * k), *c = take(scratch, m * n);
    if (!a || !b || !c)
        return LEAT_ENOMEM;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t row = first[0] + (s.taps[0] - 1 - tap / s.taps[1]) * v->stride[0];
        int64_t col = first[1] + (s.taps[1] - 1 - tap % s.taps[1]) * v->stride[1];
        for (int64_t o = 0; o < v->out; o++)
            for (int64_t i = 0; i < n; i++)
                b[(tap * v->out + o) * n + i] = weight[(o * n + i) * positions(v->kernel) + row * v->kernel[1] + col];
    }
    for (int64_t image = 0; image < v->batch; image++) {
        patches(&s, dy + image * positions(v->result) * v->out, a);
        leat_gemm_args g = { .m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n, .a = a, .b = b, .c = c };
        if (leat_gemm(pool, scratch, &g))
            return LEAT_ENOMEM;
        for (int64_t i = 0; i < m; i++) {
            int64_t row = i / s.result[1] * v->stride[0] + phase[0], col = i % s.result[1] * v->stride[1] + phase[1];
            memcpy(dx + ((image * v->size[0] + row) * v->size[1] + col) * n, c + i * n, (size_t)n * sizeof *c);
        }
    }
    return LEAT_OK;
}

leat_code leat_conv_input_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *dy,
                                   const leat_real *weight, leat_real *dx)
{
    leat_code code = LEAT_OK;
    leat_arena_mark mark = leat_arena_save(scratch);
    for (int64_t i = 0; i < positions(v->stride) && !code; i++) {
        code = phase_gradient(pool, scratch, v, dy, weight, (int64_t[]){ i / v->stride[1], i % v->stride[1] }, dx);
        leat_arena_restore(scratch, mark);
    }
    return code;
}

leat_code leat_conv_weight_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *dy,
                                    const leat_real *x, leat_real *dw)
{
    sweep s = forward_sweep(v);
    int64_t taps = positions(s.taps), k = taps * v->in, m = positions(s.result);
    leat_arena_mark mark = leat_arena_save(scratch);
    leat_real *a = take(scratch, m * k), *c = take(scratch, v->out * k);
    leat_code code = a && c ? LEAT_OK : LEAT_ENOMEM;
    if (!code)
        memset(c, 0, (size_t)(v->out * k) * sizeof *c);
    for (int64_t n = 0; n < v->batch && !code; n++) {
        patches(&s, x + n * positions(v->size) * v->in, a);
        code = leat_gemm(pool, scratch,
                         &(leat_gemm_args){ .trans_a = true,
                                            .accumulate = true,
                                            .m = v->out,
                                            .n = k,
                                            .k = m,
                                            .lda = v->out,
                                            .ldb = k,
                                            .ldc = k,
                                            .a = dy + n * m * v->out,
                                            .b = a,
                                            .c = c });
    }
    for (int64_t o = 0; o < v->out && !code; o++)
        for (int64_t i = 0; i < v->in; i++)
            for (int64_t tap = 0; tap < taps; tap++)
                dw[(o * v->in + i) * taps + tap] = c[(o * taps + tap) * v->in + i];
    leat_arena_restore(scratch, mark);
    return code;
}
