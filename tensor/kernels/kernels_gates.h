/* The kernels of gates and dropout (row_kernels.h), over the vectors of simd.h; kernels_rows.h includes this. */
#include "philox.h"

enum { PHILOX_BLOCKS = 32 }; /* at a time; each is two numbers */

/* 0 or 1 for each of the numbers of the blocks from `index` on. */
static void draw_kept(const leat_rng *rng, uint64_t index, uint64_t last, vreal kept[2 * PHILOX_BLOCKS])
{
    uint32_t c0[PHILOX_BLOCKS], c1[PHILOX_BLOCKS], c2[PHILOX_BLOCKS], c3[PHILOX_BLOCKS];
    const uint32_t low = (uint32_t)last, high = (uint32_t)(last >> 32);
    for (int i = 0; i < PHILOX_BLOCKS; i++) {
        c0[i] = (uint32_t)(index + (uint64_t)i);
        c1[i] = (uint32_t)((index + (uint64_t)i) >> 32);
        c2[i] = (uint32_t)rng->stream;
        c3[i] = (uint32_t)(rng->stream >> 32);
    }
    philox_rounds(rng->seed, PHILOX_BLOCKS, c0, c1, c2, c3);
    for (int i = 0; i < PHILOX_BLOCKS; i++) {
        kept[2 * i] = (c1[i] > high) | ((c1[i] == high) & (c0[i] > low)) ? 1 : 0;
        kept[2 * i + 1] = (c3[i] > high) | ((c3[i] == high) & (c2[i] > low)) ? 1 : 0;
    }
}

static void dropout(const leat_real *x, leat_real *y, int64_t n, leat_real scale, const leat_rng *rng, uint64_t last)
{
    vreal kept[2 * PHILOX_BLOCKS + VL] = { 0 };
    uint64_t index = rng->position / 2;
    for (int64_t skip = (int64_t)(rng->position % 2); n > 0; index += PHILOX_BLOCKS, skip = 0) {
        int64_t count = 2 * PHILOX_BLOCKS - skip < n ? 2 * PHILOX_BLOCKS - skip : n;
        draw_kept(rng, index, last, kept);
        for (int64_t i = 0; i < count; i += VL) {
            vmask keep = v_gt(v_load(kept + skip + i), v_set(0));
            store_up_to(y + i, v_select(keep, v_mul(load_up_to(x + i, count - i), v_set(scale)), v_set(0)), count - i);
        }
        x += count, y += count, n -= count;
    }
}

/* Of x and -x one is not positive: a single exponential serves both. */
static void concat_elu(const leat_real *x, leat_real *y, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, x += n, y += 2 * n) {
        for (int64_t i = 0; i < n; i += VL) {
            vec a = load_up_to(x + i, n - i), low = v_expm1(v_neg(v_abs(a)));
            vmask positive = v_gt(a, v_set(0));
            store_up_to(y + i, v_select(positive, a, low), n - i);
            store_up_to(y + n + i, v_select(positive, low, v_neg(a)), n - i);
        }
    }
}

/* elu'(x) from y = elu(x) */
SIMD_INLINE vec elu_slope(vec y)
{
    return v_select(v_gt(y, v_set(0)), v_set(1), v_add(y, v_set(1)));
}

static void concat_elu_backward(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, y += 2 * n, g += 2 * n, dx += n) {
        for (int64_t i = 0; i < n; i += VL) {
            vec up = v_mul(load_up_to(g + i, n - i), elu_slope(load_up_to(y + i, n - i)));
            vec down = elu_slope(load_up_to(y + n + i, n - i));
            store_up_to(dx + i, v_fnma(load_up_to(g + n + i, n - i), down, up), n - i);
        }
    }
}

static void glu(const leat_real *ab, const leat_real *x, leat_real *y, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, ab += 2 * n, x += x ? n : 0, y += n) {
        for (int64_t i = 0; i < n; i += VL) {
            vec a = load_up_to(ab + i, n - i), gate = v_sigmoid(load_up_to(ab + n + i, n - i));
            store_up_to(y + i, x ? v_fma(a, gate, load_up_to(x + i, n - i)) : v_mul(a, gate), n - i);
        }
    }
}

static void glu_backward(const leat_real *ab, const leat_real *g, leat_real *dab, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, ab += 2 * n, g += n, dab += 2 * n) {
        for (int64_t i = 0; i < n; i += VL) {
            vec a = load_up_to(ab + i, n - i), gate = v_sigmoid(load_up_to(ab + n + i, n - i));
            vec da = v_mul(load_up_to(g + i, n - i), gate);
            store_up_to(dab + i, da, n - i);
            store_up_to(dab + n + i, v_mul(v_mul(da, a), v_sub(v_set(1), gate)), n - i);
        }
    }
}
