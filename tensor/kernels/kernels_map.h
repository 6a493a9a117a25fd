/*
 * What the kernels of scalar maps share, over the vectors of simd.h: kernels_spline.h and kernels_mixture.h have the maps.
 *
 * VL elements at a time, one to a lane. Their parameters are first turned, so that a vector holds one parameter of VL
 * elements; then every lane does the same.
 */

/* Number j of element i, at [i n + j], to [j VL + i], */
SIMD_INLINE void spread(const leat_real *from, int64_t count, int64_t n, leat_real *to)
{
    vec t[TURN];
    for (int64_t j = 0; count == VL && n >= TURN && j < n; j += TURN) {
        int64_t at = j < n - TURN ? j : n - TURN;
        turn((turn_rows){ from, n, NULL }, at, t);
        for (int p = 0; p < TURN; p++)
            v_store(to + (at + p) * VL, t[p]);
    }
    for (int64_t j = 0; (count < VL || n < TURN) && j < n; j++)
        for (int64_t i = 0; i < VL; i++)
            to[j * VL + i] = i < count ? from[i * n + j] : 0;
}

/* and back. */
SIMD_INLINE void gather(const leat_real *from, int64_t count, int64_t n, leat_real *to)
{
    vec t[TURN];
    for (int64_t j = 0; count == VL && n >= TURN && j < n; j += TURN) {
        int64_t at = j < n - TURN ? j : n - TURN;
        for (int p = 0; p < TURN; p++)
            t[p] = v_load(from + (at + p) * VL);
        turn_back(t, to + at, n);
    }
    for (int64_t j = 0; (count < VL || n < TURN) && j < n; j++)
        for (int64_t i = 0; i < count; i++)
            to[i * n + j] = from[j * VL + i];
}

/* exp(x) for x <= 0, but no less than about 2^least, which is a normal number. */
SIMD_INLINE vec map_exp(vec x, int least)
{
    return v_exp_normal(v_max(v_set((vreal)least * (vreal)0.69), x));
}

/* What a map does to `count` elements from number `from` on; `each` gets their log-derivatives, or has the gradients
 * towards those. */
typedef void map_values(const void *constants, const leat_map_rows *r, int64_t from, int64_t count, leat_real *each);
typedef void map_gradients(const void *constants, const leat_map_rows *r, int64_t from, int64_t count,
                           const leat_real *each);

SIMD_INLINE void map_rows(map_values *values, const void *k, const leat_map_rows *r, int64_t rows, int64_t n)
{
    leat_real each[ROW_CHUNK];
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        if (n <= ROW_CHUNK)
            values(k, r, done * n, count * n, each);
        for (int64_t row = done; row < done + count; row++) {
            double total = n <= ROW_CHUNK ? row_sum(each + (row - done) * n, n) : 0;
            for (int64_t i = 0, part; n > ROW_CHUNK && i < n; i += part) {
                part = n - i < ROW_CHUNK ? n - i : ROW_CHUNK;
                values(k, r, row * n + i, part, each);
                total += row_sum(each, part);
            }
            r->logdet[row] = (leat_real)total;
        }
    }
}

SIMD_INLINE void map_rows_backward(map_gradients *gradients, const void *k, const leat_map_rows *r, int64_t rows,
                                   int64_t n)
{
    leat_real each[ROW_CHUNK];
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        for (int64_t from = 0, part; from < count * n; from += part) {
            part = count * n - from < ROW_CHUNK ? count * n - from : ROW_CHUNK;
            for (int64_t i = 0; i < part; i++)
                each[i] = r->h[done + (from + i) / n];
            gradients(k, r, done * n + from, part, each);
        }
    }
}
