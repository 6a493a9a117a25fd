/*
 * Attention in tiles, so that not all pairs of places are in memory at once (Dao et al., "FlashAttention", 2022): a tile
 * has the weights of PLACES places for QUERIES queries. It stands on its side, a query being a column, so that sums and
 * maxima of a softmax run down the columns, many side by side.
 *
 *     forward     for each tile of places: scores = k q^T; weights = exp(scores - top); out^T = shrink out^T + v^T weights
 *     backward    weights = exp(k q^T - log_total); slopes = weights (v dout^T - (dout . out - dlog_total));
 *                 dv += weights dout; dk += slopes q; dq^T += k^T slopes
 *
 * where top is the greatest score so far and shrink = exp(top before - top). A query's sums are a matter of its places
 * and PLACES alone, and dk and dv go through the queries in order, so every way to share out heads and queries gives the
 * same bits. q is multiplied by 1 / sqrt(width) first.
 */
#include "dot_product_attention.h"
#include "gemm.h"
#include "row_kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { PLACES = 96, QUERIES = 64 };

#ifdef LEAT_DOUBLE
static const leat_real lowest = -DBL_MAX;
#else
static const leat_real lowest = -FLT_MAX;
#endif

/* What a thread has room for: tiles, and what belongs to the queries of one. */
typedef struct room {
    leat_real *scores, *slopes, *kept, *q, *dout, *panels, *dout_panels, *sums, *top, *total, *shrink;
} room;

typedef struct attention_job {
    const leat_attention_args *a;
    const leat_kernels *kernels;
    int parts;
    int64_t size;
    leat_real *scratch;
} attention_job;

/* `count` queries of a head, and where its rows begin. */
typedef struct tile {
    int64_t batch, head, first, count;
    const leat_real *q, *k, *v, *dout;
    leat_real *out;
    int64_t at; /* in log_total */
} tile;

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tiles_of(const leat_attention_args *a)
{
    return (a->queries + QUERIES - 1) / QUERIES;
}

static tile tile_at(const leat_attention_args *a, int64_t head, int64_t number)
{
    tile t = { .batch = head / a->heads, .head = head % a->heads, .first = number * QUERIES };
    t.count = min_of(QUERIES, a->queries - t.first);
    int64_t query = (t.batch * a->queries + t.first) * a->heads + t.head;
    int64_t place = t.batch * a->places * a->heads + t.head;
    t.q = a->q + query * a->width;
    t.k = a->k + place * a->width;
    t.v = a->v + place * a->value_width;
    t.out = a->out + query * a->value_width;
    t.dout = a->dout ? a->dout + query * a->value_width : NULL;
    t.at = head * a->queries + t.first;
    return t;
}

/* How many places some query of the tile has. */
static int64_t places_of(const leat_attention_args *a, const tile *t)
{
    return a->causal ? min_of(a->places, t->first + t->count) : a->places;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* A's element (i, p) is at data[i * row + p * col]. B, with rows `row` apart, lies in panels of `col` columns. */
typedef struct factor {
    const leat_real *data;
    int64_t row, col;
} factor;

/* C [m, n] = A [m, k] B [k, n], or with `load` C += A B, in the order of leat_gemm. */
static void multiply(const attention_job *j, int64_t m, int64_t k, int64_t n, factor a, factor b, leat_real *c,
                     int64_t ldc, bool load)
{
    const leat_gemm_kernel *gemm = j->kernels->gemm;
    static const int64_t whole = 0;
    gemm->block(&(leat_gemm_block){ .m = m,
                                    .n = n,
                                    .k = k,
                                    .strip = gemm->rows,
                                    .segments = 1,
                                    .lines = 1,
                                    .a_at = &whole,
                                    .b_at = &whole,
                                    .a = a.data,
                                    .a_row = a.row,
                                    .a_col = a.col,
                                    .a_strip = gemm->rows * a.row,
                                    .b = b.data,
                                    .b_row = b.row,
                                    .b_col = 1,
                                    .panel = b.col,
                                    .b_panel = b.col * k,
                                    .c = c,
                                    .ldc = ldc,
                                    .load = load });
}

/* The transpose of x [count, width], rows ld apart. */
static factor turned(const attention_job *j, const leat_real *x, int64_t ld, int64_t width, int64_t count,
                     leat_real *panels)
{
    const leat_gemm_kernel *gemm = j->kernels->gemm;
    gemm->pack_transposed(x, ld, width, count, gemm->cols, panels);
    return (factor){ panels, gemm->cols, gemm->cols };
}

/* rows [n, width], rows ld apart, = scale columns [width, n] */
static void turn_back(const leat_real *columns, int64_t width, int64_t n, leat_real scale, leat_real *rows, int64_t ld)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c++)
            rows[i * ld + c] = columns[c * n + i] * scale;
}

/* ---- what both ways share ---------------------------------------------------------------------------------------- */

/* The queries of a tile, times 1 / sqrt(width), as rows in r->q, and turned. */
static factor queries_of(const attention_job *j, const tile *t, const room *r)
{
    const leat_attention_args *a = j->a;
    leat_constants scale = { (leat_real)(1 / sqrt((double)a->width)), 0 };
    for (int64_t i = 0; i < t->count; i++)
        j->kernels->unary[LEAT_UNARY_mul_scalar].forward(t->q + i * a->heads * a->width, r->q + i * a->width, a->width,
                                                         scale);
    return turned(j, r->q, a->width, a->width, t->count, r->panels);
}

/* The scores of `count` places from `first` on. A place that a query does not have gets -inf, whose exponential is 0. */
static void scores_of(const attention_job *j, const tile *t, const room *r, factor q, int64_t first, int64_t count)
{
    const leat_attention_args *a = j->a;
    int64_t ld = a->heads * a->width;
    multiply(j, count, a->width, t->count, (factor){ t->k + first * ld, ld, 1 }, q, r->scores, t->count, false);
    for (int64_t p = 0; a->causal && p < count; p++)
        if (first + p > t->first)
            j->kernels->fill(r->scores + p * t->count, min_of(first + p - t->first, t->count), -(leat_real)INFINITY);
}

/* x *= 0 or 1 / (1 - p), what dropout makes of each weight; drawn when asked for first, with `draw`. */
static void drop(const attention_job *j, const tile *t, const room *r, int64_t first, int64_t count, bool draw,
                 leat_real *x)
{
    const leat_attention_args *a = j->a;
    if (!(a->dropout > 0))
        return;
    const leat_real scale = (leat_real)(1 / (1 - a->dropout));
    for (int64_t i = 0; draw && i < t->count; i++) {
        leat_rng rng = a->rng;
        rng.position += (uint64_t)((t->at + i) * a->places + first);
        for (int64_t p = 0; p < count; p++)
            r->kept[p * t->count + i] = leat_rng_uniform(&rng) < a->dropout ? 0 : scale;
    }
    j->kernels->binary[LEAT_BINARY_mul].forward(x, 1, r->kept, 1, x, count * t->count);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static void forward_tile(const attention_job *j, const tile *t, const room *r)
{
    const leat_attention_args *a = j->a;
    const leat_kernels *k = j->kernels;
    const int64_t n = t->count, places = places_of(a, t), width = a->value_width, ld = a->heads * width;
    factor q = queries_of(j, t, r), weights = { r->scores, n, n };
    k->fill(r->top, n, lowest);
    k->fill(r->total, n, 0);
    for (int64_t first = 0; first < places; first += PLACES) {
        int64_t count = min_of(PLACES, places - first);
        scores_of(j, t, r, q, first, count);
        k->rows->attention(r->scores, count, n, r->top, r->total, r->shrink);
        for (int64_t c = 0; first > 0 && c < width; c++)
            k->binary[LEAT_BINARY_mul].forward(r->sums + c * n, 1, r->shrink, 1, r->sums + c * n, n);
        drop(j, t, r, first, count, true, r->scores);
        multiply(j, width, count, n, (factor){ t->v + first * ld, 1, ld }, weights, r->sums, n, first > 0);
    }
    for (int64_t c = 0; c < width; c++)
        k->binary[LEAT_BINARY_div].forward(r->sums + c * n, 1, r->total, 1, r->sums + c * n, n);
    turn_back(r->sums, width, n, 1, t->out, ld);
    k->unary[LEAT_UNARY_log].forward(r->total, r->total, n, (leat_constants){ 0 });
    k->binary[LEAT_BINARY_add].forward(r->top, 1, r->total, 1, a->log_total + t->at, n);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* top = dout . out - dlog_total for each query: what a weight's gradient counts from. */
static void middles_of(const attention_job *j, const tile *t, const room *r)
{
    const leat_attention_args *a = j->a;
    const int64_t width = a->value_width, ld = a->heads * width;
    for (int64_t i = 0; i < t->count; i++) {
        j->kernels->binary[LEAT_BINARY_mul].forward(t->dout + i * ld, 1, t->out + i * ld, 1, r->dout, width);
        r->top[i] = (leat_real)(j->kernels->sum(r->dout, width) - (double)a->dlog_total[t->at + i]);
    }
}

static void backward_tile(const attention_job *j, const tile *t, const room *r)
{
    const leat_attention_args *a = j->a;
    const int64_t n = t->count, places = places_of(a, t), width = a->width, ldk = a->heads * width;
    const int64_t value_width = a->value_width, ldv = a->heads * value_width;
    const factor q = queries_of(j, t, r), dout = turned(j, t->dout, ldv, value_width, n, r->dout_panels);
    const factor weights = { r->scores, n, 1 }, slopes = { r->slopes, n, 1 };
    middles_of(j, t, r);
    for (int64_t first = 0; first < places; first += PLACES) {
        int64_t count = min_of(PLACES, places - first), at = first * ldk;
        scores_of(j, t, r, q, first, count);
        multiply(j, count, value_width, n, (factor){ t->v + first * ldv, ldv, 1 }, dout, r->slopes, n, false);
        drop(j, t, r, first, count, true, r->slopes);
        j->kernels->rows->attention_backward(r->scores, r->slopes, count, n, a->log_total + t->at, r->top);
        drop(j, t, r, first, count, false, r->scores);
        if (a->dv)
            multiply(j, count, n, value_width, weights, (factor){ t->dout, ldv, value_width },
                     a->dv + (t->v - a->v) + first * ldv, ldv, true);
        if (a->dk)
            multiply(j, count, n, width, slopes, (factor){ r->q, width, width }, a->dk + (t->k - a->k) + at, ldk, true);
        if (a->dq)
            multiply(j, width, count, n, (factor){ t->k + at, 1, ldk }, (factor){ r->slopes, n, n }, r->sums, n,
                     first > 0);
    }
    if (a->dq)
        turn_back(r->sums, width, n, (leat_real)(1 / sqrt((double)width)), a->dq + (t->q - a->q), ldk);
}

/* ---- sharing out ------------------------------------------------------------------------------------------------- */

/* Cuts a thread's room into its arrays; returns how large it is. */
static int64_t cut_room(const attention_job *j, leat_real *start, room *r)
{
    const int64_t pack = QUERIES + j->kernels->gemm->cols, width = j->a->width, value_width = j->a->value_width;
    const int64_t sums = width > value_width ? width : value_width, kept = j->a->dropout > 0 ? PLACES * QUERIES : 0;
    leat_real **const arrays[] = { &r->scores, &r->slopes,      &r->kept, &r->q,     &r->dout,  &r->panels,
                                   &r->sums,   &r->dout_panels, &r->top,  &r->total, &r->shrink };
    const int64_t sizes[] = { PLACES * QUERIES, PLACES * QUERIES,   kept,    QUERIES * width, value_width, pack * width,
                              QUERIES * sums,   pack * value_width, QUERIES, QUERIES,         QUERIES };
    int64_t size = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        *arrays[i] = start ? start + size : NULL;
        size += (sizes[i] + 15) / 16 * 16;
    }
    return size;
}

static void forward_parts(void *arg, int64_t begin, int64_t end)
{
    const attention_job *j = arg;
    int64_t tiles = tiles_of(j->a), count = j->a->batch * j->a->heads * tiles;
    room r;
    for (int64_t part = begin; part < end; part++) {
        cut_room(j, j->scratch + part * j->size, &r);
        for (int64_t i = part; i < count; i += j->parts) {
            tile t = tile_at(j->a, i / tiles, i % tiles);
            forward_tile(j, &t, &r);
        }
    }
}

/* All queries of a head one after the other: each adds to dk and dv. */
static void backward_parts(void *arg, int64_t begin, int64_t end)
{
    const attention_job *j = arg;
    room r;
    for (int64_t part = begin; part < end; part++) {
        cut_room(j, j->scratch + part * j->size, &r);
        for (int64_t head = part; head < j->a->batch * j->a->heads; head += j->parts) {
            for (int64_t i = 0; i < tiles_of(j->a); i++) {
                tile t = tile_at(j->a, head, i);
                backward_tile(j, &t, &r);
            }
        }
    }
}

static leat_code run(leat_pool *pool, leat_arena *scratch, const leat_attention_args *a, int64_t tasks,
                     leat_range_fn *fn)
{
    const double few = 1e5; /* multiply-adds that are not worth another thread */
    double work = (double)(a->batch * a->heads * a->queries) * (double)(a->places * (a->width + a->value_width));
    attention_job j = { .a = a, .kernels = leat_kernels_get() };
    j.parts = (int)min_of(min_of(tasks, leat_pool_threads(pool)), 1 + (int64_t)(work / few));
    j.size = cut_room(&j, NULL, &(room){ 0 });
    leat_arena_mark mark = leat_arena_save(scratch);
    j.scratch = leat_arena_alloc(scratch, (size_t)(j.size * j.parts) * sizeof *j.scratch);
    if (!j.scratch)
        return LEAT_ENOMEM;
    leat_parallel_for(pool, j.parts, 1, fn, &j);
    leat_arena_restore(scratch, mark);
    return LEAT_OK;
}

leat_code leat_attention_forward(leat_pool *pool, leat_arena *scratch, const leat_attention_args *a)
{
    return run(pool, scratch, a, a->batch * a->heads * tiles_of(a), forward_parts);
}

leat_code leat_attention_backward(leat_pool *pool, leat_arena *scratch, const leat_attention_args *a)
{
    if (a->dk)
        memset(a->dk, 0, (size_t)(a->batch * a->places * a->heads * a->width) * sizeof *a->dk);
    if (a->dv)
        memset(a->dv, 0, (size_t)(a->batch * a->places * a->heads * a->value_width) * sizeof *a->dv);
    return run(pool, scratch, a, a->batch * a->heads, backward_parts);
}
