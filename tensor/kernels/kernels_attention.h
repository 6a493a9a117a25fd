/* The kernels of attention (row_kernels.h), over the vectors of simd.h; kernels_rows.h includes this. */

enum { ATTENTION_COLUMNS = 4 }; /* vectors side by side, so that none waits for its own maxima and sums */

/* x = exp(x - greatest), and its sum; normal: all are normal numbers */
SIMD_INLINE void attention_weights(leat_real *x, int64_t rows, int64_t n, int64_t wide, int vectors, bool normal,
                                   const vec *greatest, vec *sum)
{
    for (int64_t i = 0; i < rows; i++, x += n)
        for (int c = 0; c < vectors; c++) {
            vec less = v_sub(load_up_to(x + c * VL, wide), greatest[c]);
            vec weight = normal ? v_exp_normal(less) : v_exp(less);
            store_up_to(x + c * VL, weight, wide);
            sum[c] = v_add(sum[c], weight);
        }
}

/* The first `vectors` of columns, or the one that there is, of `wide` numbers. */
SIMD_INLINE void attention_columns(leat_real *x, int64_t rows, int64_t n, int64_t wide, int vectors, leat_real *top,
                                   leat_real *total, leat_real *shrink)
{
    vec greatest[ATTENTION_COLUMNS], least[ATTENTION_COLUMNS], sum[ATTENTION_COLUMNS], range = v_set(0);
    for (int c = 0; c < vectors; c++) {
        greatest[c] = load_up_to(top + c * VL, wide);
        least[c] = v_set((leat_real)INFINITY);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < vectors; c++) {
            vec score = load_up_to(x + i * n + c * VL, wide);
            greatest[c] = v_max(score, greatest[c]);
            least[c] = v_min(score, least[c]);
        }
    for (int c = 0; c < vectors; c++) {
        vec factor = v_exp(v_sub(load_up_to(top + c * VL, wide), greatest[c]));
        sum[c] = v_mul(load_up_to(total + c * VL, wide), factor);
        range = v_max(v_sub(greatest[c], least[c]), range);
        store_up_to(top + c * VL, greatest[c], wide);
        store_up_to(shrink + c * VL, factor, wide);
    }
    if (m_any(v_gt(range, v_set(-VM_EXP_NORMAL))))
        attention_weights(x, rows, n, wide, vectors, false, greatest, sum);
    else
        attention_weights(x, rows, n, wide, vectors, true, greatest, sum);
    for (int c = 0; c < vectors; c++)
        store_up_to(total + c * VL, sum[c], wide);
}

static void attention(leat_real *x, int64_t rows, int64_t n, leat_real *top, leat_real *total, leat_real *shrink)
{
    int64_t j = 0;
    for (; j + ATTENTION_COLUMNS * VL <= n; j += ATTENTION_COLUMNS * VL)
        attention_columns(x + j, rows, n, VL, ATTENTION_COLUMNS, top + j, total + j, shrink + j);
    for (; j < n; j += VL)
        attention_columns(x + j, rows, n, n - j, 1, top + j, total + j, shrink + j);
}

static void attention_backward(leat_real *x, leat_real *g, int64_t rows, int64_t n, const leat_real *log_total,
                               const leat_real *middle)
{
    for (int64_t j = 0; j < n; j += VL) {
        vec shift = load_up_to(log_total + j, n - j), centre = load_up_to(middle + j, n - j);
        for (int64_t i = j; i < rows * n; i += n) {
            vec weight = v_exp(v_sub(load_up_to(x + i, n - j), shift));
            store_up_to(x + i, weight, n - j);
            store_up_to(g + i, v_mul(weight, v_sub(load_up_to(g + i, n - j), centre)), n - j);
        }
    }
}
