/* The kernels of gates (row_kernels.h), over the vectors of simd.h; kernels_rows.h includes this. */

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
