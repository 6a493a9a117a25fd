/*
 * See conv.h. A convolution is a product whose one factor is patches of the image. They are never written down: the tiles
 * of gemm_kernel.h read them from the image itself, segment by segment, or, where there is padding, from a band of some
 * of its rows with zeros around.
 *
 *     straight        rows of C are places of a row of the result, columns are outputs; a segment is a row of the kernel
 *     turned          for few outputs: rows are outputs and columns places, of the whole band, read from its channels one
 *                     by one; a segment is a tap. What comes between two rows of the result is not used.
 *     weight gradient rows are channels of the taps of a kernel row, columns are outputs, or the other way round; a
 *                     segment is a row of the result
 *
 * The input gradient is a convolution of dy at step 1 for every remainder of a place by the stride: with the taps that
 * reach such places, in falling order.
 */
#include "convolution.h"
#include "gemm.h"

#include <string.h>

enum {
    NEAR = 192 * 1024,  /* bytes of a band, which is read several times, if a row of the result needs no more */
    LINE = 64,          /* bytes */
    BANDS_PER_PART = 4, /* so that threads end at about the same time */
    CHAINS = 8,         /* of fma at once; a tile of fewer takes as long */
};
static const double dispatch_cost = 60e3; /* of a thread, in multiply-adds */

/* A convolution of images [batch, size, in] with some taps: row Y of the result has tap r at image row
 * Y * step + r - before. Its element o goes to c + image * c_image + Y * c_line + X * c_col + o, without gaps if there is
 * an activation. Tap r, c of the weight, from channel i to o, is
 * weight[r * w_row + c * w_col + i * w_in + o * w_out]. */
typedef struct sweep {
    const leat_kernels *kernels;
    int64_t batch, in, out, size[2], taps[2], step[2], before[2], result[2];
    const leat_real *x, *weight, *bias;
    leat_real *c;
    int64_t c_image, c_line, c_col, w_row, w_col, w_in, w_out;
    leat_activation activation;

    bool turned, padded;
    int64_t wide, row;           /* places of a row of a band; numbers of one */
    int64_t lines, bands;        /* rows of the result from a band; bands of an image */
    int64_t strip, panel, plane; /* of the product; the distance of a band's channels, turned */
    int64_t room_band, room;     /* numbers of scratch for the band, and in all, of each part */
    int64_t segments, *a_at, *b_at;
    leat_real *packed, *scratch;
    int parts;
} sweep;

static int64_t positions(const int64_t size[2])
{
    return size[0] * size[1];
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

/* A strip's rows when n rows are cut into as few strips as can be, all about as high. */
static int64_t even(int64_t n, int64_t most)
{
    return divide_up(n, divide_up(n, most));
}

static leat_real *take(leat_arena *scratch, int64_t count)
{
    return leat_arena_alloc(scratch, (size_t)count * sizeof(leat_real));
}

/* Into how many parts to cut so many units of work. */
static int parts_of(const sweep *s, const leat_pool *pool, int64_t units)
{
    double work = (double)(s->batch * positions(s->result)) * (double)(s->out * s->in * positions(s->taps));
    return (int)min_of(min_of(leat_pool_threads(pool), units), 1 + (int64_t)(work / dispatch_cost));
}

/* The vectors that a step of k takes in all tiles of [rows, cols]. */
static double vectors_of(const leat_gemm_kernel *kernel, int64_t rows, int64_t cols)
{
    int64_t strip = even(rows, kernel->rows), wide = rows <= 2 ? kernel->wide / rows : kernel->cols;
    int64_t full = strip * wide / kernel->lanes, rest = strip * divide_up(cols % wide, kernel->lanes);
    full = cols / wide * (full > CHAINS ? full : CHAINS);
    rest = rest == 0 || rest > CHAINS ? rest : CHAINS;
    return (double)(divide_up(rows, strip) * (full + rest));
}

/* ---- bands ------------------------------------------------------------------------------------------------------- */

/* How bands lie, and how many rows of the result each is for. */
static void plan_bands(sweep *s, int64_t least_bands)
{
    s->wide = (s->result[1] - 1) * s->step[1] + s->taps[1];
    s->padded = false;
    for (int i = 0; i < 2; i++)
        s->padded |= s->before[i] > 0 || (s->result[i] - 1) * s->step[i] + s->taps[i] - s->before[i] > s->size[i];
    s->row = (s->padded ? s->wide : s->size[1]) * s->in;
    int64_t fit = (NEAR / (s->wide * s->in * (int64_t)sizeof *s->x) - s->taps[0]) / s->step[0] + 1;
    fit = fit < 1 ? 1 : min_of(fit, divide_up(s->result[0], min_of(least_bands, s->result[0])));
    s->lines = even(s->result[0], fit);
    s->bands = divide_up(s->result[0], s->lines);
    s->room_band = s->padded ? ((s->lines - 1) * s->step[0] + s->taps[0]) * s->row : 0;
}

/* What `lines` rows of the result of an image need, from row `first` on: where it lies, or with zeros around in `room`. */
static const leat_real *band(const sweep *s, int64_t image, int64_t first, int64_t lines, leat_real *room)
{
    const leat_real *x = s->x + image * positions(s->size) * s->in;
    int64_t top = first * s->step[0] - s->before[0], rows = (lines - 1) * s->step[0] + s->taps[0];
    int64_t skip = s->before[1] < 0 ? -s->before[1] : 0, left = s->before[1] < 0 ? 0 : min_of(s->before[1], s->wide);
    if (!s->padded)
        return x + (top * s->size[1] + skip) * s->in;
    int64_t kept = min_of(s->size[1] - skip, s->wide - left);
    kept = kept < 0 ? 0 : kept;
    leat_real *to = room;
    for (int64_t r = top; r < top + rows; r++, to += s->row) {
        int64_t here = r >= 0 && r < s->size[0] ? kept : 0;
        memset(to, 0, (size_t)(left * s->in) * sizeof *to);
        if (here)
            memcpy(to + left * s->in, x + (r * s->size[1] + skip) * s->in, (size_t)(here * s->in) * sizeof *to);
        memset(to + (left + here) * s->in, 0, (size_t)((s->wide - left - here) * s->in) * sizeof *to);
    }
    return room;
}

/* ---- convolution ------------------------------------------------------------------------------------------------- */

static void activate(const sweep *s, leat_real *c, int64_t n)
{
    leat_activation_op f = leat_activation_op_of(s->activation);
    if (f.unary >= 0)
        s->kernels->unary[f.unary].forward(c, c, n, f.k);
}

static leat_gemm_block block_of(const sweep *s)
{
    return (leat_gemm_block){
        .strip = s->strip, .segments = s->segments, .a_at = s->a_at, .b_at = s->b_at, .lines = 1, .b_col = 1
    };
}

static void straight_band(const sweep *s, int64_t lines, const leat_real *x, leat_real *c)
{
    leat_gemm_block g = block_of(s);
    g.m = s->result[1], g.n = s->out, g.k = s->taps[1] * s->in;
    g.lines = lines, g.a_line = s->step[0] * s->row, g.c_line = s->c_line;
    g.a = x, g.a_row = s->step[1] * s->in, g.a_col = 1, g.a_strip = s->strip * g.a_row;
    g.b = s->packed, g.b_row = g.panel = s->panel, g.b_panel = s->panel * g.k * s->segments;
    g.c = c, g.ldc = s->c_col, g.bias = s->bias, g.relu = s->activation == LEAT_RELU;
    s->kernels->gemm->block(&g);
    if (!g.relu)
        activate(s, c, lines * s->result[1] * s->out);
}

/* The band's channels go to `room`, then behind them the product: out rows of n places. */
static void turned_band(const sweep *s, int64_t lines, const leat_real *x, leat_real *c, leat_real *room)
{
    int64_t pitch = s->row / s->in, n = (lines - 1) * pitch + s->result[1];
    leat_real *out = room + s->plane * s->in;
    s->kernels->gemm->pack_transposed(x, s->in, s->in, (lines + s->taps[0] - 2) * pitch + s->wide, s->plane, room);
    leat_gemm_block g = block_of(s);
    g.m = s->out, g.n = g.panel = n, g.k = s->in;
    g.a = s->packed, g.a_row = 1, g.a_col = s->strip, g.a_strip = s->strip * s->in * s->segments;
    g.b = room, g.b_row = s->plane;
    g.c = out, g.ldc = n;
    s->kernels->gemm->block(&g);
    for (int64_t o = 0; o < s->out; o++) {
        if (s->bias)
            s->kernels->binary[LEAT_BINARY_add].forward(out + o * n, 1, s->bias + o, 0, out + o * n, n);
        activate(s, out + o * n, n);
    }
    for (int64_t line = 0; line < lines; line++, c += s->c_line, out += pitch)
        for (int64_t i = 0; i < s->result[1]; i++)
            for (int64_t o = 0; o < s->out; o++)
                c[i * s->c_col + o] = out[o * n + i];
}

static void run_sweep(void *arg, int64_t begin, int64_t end)
{
    const sweep *s = arg;
    int64_t all = s->batch * s->bands;
    for (int64_t part = begin; part < end; part++) {
        leat_real *room = s->scratch + part * s->room;
        for (int64_t u = all * part / s->parts; u < all * (part + 1) / s->parts; u++) {
            int64_t image = u / s->bands, first = u % s->bands * s->lines;
            int64_t lines = min_of(s->lines, s->result[0] - first);
            const leat_real *x = band(s, image, first, lines, room);
            leat_real *c = s->c + image * s->c_image + first * s->c_line;
            if (s->turned)
                turned_band(s, lines, x, c, room + s->room_band);
            else
                straight_band(s, lines, x, c);
        }
    }
}

/* The weight as panels of so many outputs: [output / width][tap][in][width]. */
static void pack_weight(const sweep *s, int64_t width)
{
    int64_t taps = positions(s->taps);
    for (int64_t o = 0; o < s->out; o++) {
        leat_real *to = s->packed + o / width * width * taps * s->in + o % width;
        for (int64_t t = 0; t < taps; t++) {
            const leat_real *from = s->weight + t / s->taps[1] * s->w_row + t % s->taps[1] * s->w_col + o * s->w_out;
            for (int64_t i = 0; i < s->in; i++)
                to[(t * s->in + i) * width] = from[i * s->w_in];
        }
    }
}

/* Turned if that takes fewer vectors, counting what is moved for it. */
static void choose_way(sweep *s)
{
    const leat_gemm_kernel *kernel = s->kernels->gemm;
    double k = (double)(positions(s->taps) * s->in);
    int64_t between = s->result[0] * (s->padded ? s->wide : s->size[1]);
    double straight = (double)s->result[0] * vectors_of(kernel, s->result[1], s->out) * k;
    double turned = vectors_of(kernel, s->out, between) * k + (double)(between * (s->in + s->out));
    s->turned = s->step[0] == 1 && s->step[1] == 1 && turned < straight;
    s->segments = s->turned ? positions(s->taps) : s->taps[0];
    s->strip = even(s->turned ? s->out : s->result[1], kernel->rows);
    s->panel = s->result[1] <= 2 ? kernel->wide : kernel->cols;
}

static void fill_segments(sweep *s)
{
    for (int64_t t = 0; t < s->segments; t++) {
        if (s->turned) {
            s->a_at[t] = t * s->in * s->strip;
            s->b_at[t] = t / s->taps[1] * (s->row / s->in) + t % s->taps[1];
        } else {
            s->a_at[t] = t * s->row;
            s->b_at[t] = t * s->taps[1] * s->in * s->panel;
        }
    }
}

/* There must be something to sum and somewhere to put it. */
static leat_code sweep_over(sweep *s, leat_pool *pool, leat_arena *scratch)
{
    int threads = leat_pool_threads(pool);
    int64_t unit = LINE / (int64_t)sizeof(leat_real);
    plan_bands(s, threads > 1 ? divide_up(BANDS_PER_PART * threads, s->batch) : 1);
    choose_way(s);
    s->parts = parts_of(s, pool, s->batch * s->bands);
    s->room = s->room_band;
    if (s->turned) { /* channels whose distance is no power of two, which would share places of a cache */
        int64_t places = (s->lines + s->taps[0]) * (s->row / s->in) + s->wide;
        s->plane = (divide_up(places, unit) | 1) * unit;
        s->room += s->plane * s->in + s->out * places;
    }
    s->room = divide_up(s->room, unit) * unit;
    int64_t width = s->turned ? s->strip : s->panel;
    s->packed = take(scratch, divide_up(s->out, width) * width * positions(s->taps) * s->in);
    s->scratch = take(scratch, s->room * s->parts);
    s->a_at = leat_arena_alloc(scratch, 2 * (size_t)s->segments * sizeof *s->a_at);
    if (!s->packed || !s->scratch || !s->a_at)
        return LEAT_ENOMEM;
    s->b_at = s->a_at + s->segments;
    fill_segments(s);
    pack_weight(s, width);
    leat_parallel_for(pool, s->parts, 1, run_sweep, s);
    return LEAT_OK;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static const leat_kernels *kernels_of(const leat_conv *v)
{
    return v->kernels ? v->kernels : leat_kernels_get();
}

/* A kernel of one place is a matrix, and images are rows. */
static bool is_product(const leat_conv *v)
{
    return positions(v->kernel) == 1 && positions(v->stride) == 1 && v->padding[0] + v->padding[1] == 0;
}

static sweep forward_sweep(const leat_conv *v)
{
    sweep s = { .kernels = kernels_of(v), .batch = v->batch, .in = v->in, .out = v->out };
    for (int i = 0; i < 2; i++) {
        s.size[i] = v->size[i], s.taps[i] = v->kernel[i], s.step[i] = v->stride[i];
        s.before[i] = v->padding[i], s.result[i] = v->result[i];
    }
    return s;
}

leat_code leat_conv_forward(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *x,
                            const leat_real *weight, const leat_real *bias, leat_activation activation, leat_real *y)
{
    int64_t rows = v->batch * positions(v->result);
    if (v->in == 0 || is_product(v))
        return leat_gemm_with(kernels_of(v), pool, scratch,
                              &(leat_gemm_args){ .trans_b = true,
                                                 .m = rows,
                                                 .n = v->out,
                                                 .k = v->in,
                                                 .lda = v->in,
                                                 .ldb = v->in,
                                                 .ldc = v->out,
                                                 .a = x,
                                                 .b = weight,
                                                 .bias = bias,
                                                 .activation = activation,
                                                 .c = y });
    if (rows == 0 || v->out == 0)
        return LEAT_OK;
    leat_arena_mark mark = leat_arena_save(scratch);
    sweep s = forward_sweep(v);
    s.x = x, s.weight = weight, s.bias = bias, s.activation = activation;
    s.c = y, s.c_col = v->out, s.c_line = v->result[1] * s.c_col, s.c_image = v->result[0] * s.c_line;
    s.w_row = v->kernel[1], s.w_col = 1, s.w_in = positions(v->kernel), s.w_out = s.w_in * v->in;
    leat_code code = sweep_over(&s, pool, scratch);
    leat_arena_restore(scratch, mark);
    return code;
}

/* ---- input gradient ---------------------------------------------------------------------------------------------- */

/* The places whose remainders by the stride are `phase`. */
static leat_code phase_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *dy,
                                const leat_real *weight, const int64_t phase[2], leat_real *dx)
{
    sweep s = { .kernels = kernels_of(v), .batch = v->batch, .in = v->out, .out = v->in, .step = { 1, 1 } };
    int64_t last[2]; /* of the kernel's taps that reach them */
    for (int i = 0; i < 2; i++) {
        int64_t at = phase[i] + v->padding[i], stride = v->stride[i], first = at % stride;
        if (first >= v->kernel[i] || phase[i] >= v->size[i])
            return LEAT_OK;
        s.size[i] = v->result[i];
        s.taps[i] = (v->kernel[i] - first - 1) / stride + 1;
        last[i] = first + (s.taps[i] - 1) * stride;
        s.before[i] = s.taps[i] - 1 - at / stride;
        s.result[i] = (v->size[i] - phase[i] - 1) / stride + 1;
    }
    int64_t line = v->size[1] * v->in;
    s.x = dy, s.weight = weight + last[0] * v->kernel[1] + last[1];
    s.w_row = -v->stride[0] * v->kernel[1], s.w_col = -v->stride[1];
    s.c = dx + phase[0] * line + phase[1] * v->in;
    s.c_col = v->stride[1] * v->in, s.c_line = v->stride[0] * line, s.c_image = v->size[0] * line;
    s.w_out = positions(v->kernel), s.w_in = s.w_out * v->in;
    return sweep_over(&s, pool, scratch);
}

leat_code leat_conv_input_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *dy,
                                   const leat_real *weight, leat_real *dx)
{
    int64_t rows = v->batch * positions(v->size), count = rows * v->in;
    if (is_product(v))
        return leat_gemm_with(kernels_of(v), pool, scratch,
                              &(leat_gemm_args){ .m = rows,
                                                 .n = v->in,
                                                 .k = v->out,
                                                 .lda = v->out,
                                                 .ldb = v->in,
                                                 .ldc = v->in,
                                                 .a = dy,
                                                 .b = weight,
                                                 .c = dx });
    if (v->out == 0 || v->stride[0] > v->kernel[0] || v->stride[1] > v->kernel[1]) /* nothing reaches some places */
        for (int64_t i = 0; i < count; i++)
            dx[i] = 0;
    leat_code code = LEAT_OK;
    leat_arena_mark mark = leat_arena_save(scratch);
    for (int64_t i = 0; i < positions(v->stride) && !code && v->out && count; i++) {
        code = phase_gradient(pool, scratch, v, dy, weight, (int64_t[]){ i / v->stride[1], i % v->stride[1] }, dx);
        leat_arena_restore(scratch, mark);
    }
    return code;
}

/* ---- weight gradient --------------------------------------------------------------------------------------------- */

/* C is [kernel rows][rows][cols]: of a kernel row, rows are columns and channels, and cols outputs; or the other way
 * round. It is summed band by band. Units are its tiles: kernel row, columns, strip. */
typedef struct weight_job {
    sweep s;
    const leat_real *dy;
    leat_real *c;
    bool outputs_first; /* rows are outputs */
    int64_t rows, cols, width, strips;
    int64_t units;
} weight_job;

/* `count` strips from that of unit u on. */
static void weight_tiles(const weight_job *j, int64_t u, int64_t count, int64_t lines, const leat_real *x,
                         const leat_real *dy, bool load)
{
    const sweep *s = &j->s;
    int64_t columns = divide_up(j->cols, j->width), first = u % j->strips * s->strip,
            col = u / j->strips % columns * j->width;
    int64_t r = u / j->strips / columns;
    leat_gemm_block g = block_of(s);
    g.m = min_of(count * s->strip, j->rows - first), g.n = g.panel = min_of(j->width, j->cols - col);
    g.k = s->result[1], g.segments = lines, g.load = load;
    int64_t x_row = s->step[1] * s->in;
    x += r * s->row;
    g.a_row = 1, g.a_strip = s->strip;
    g.a = (j->outputs_first ? dy : x) + first, g.a_col = j->outputs_first ? s->out : x_row;
    g.b = (j->outputs_first ? x : dy) + col, g.b_row = j->outputs_first ? x_row : s->out;
    g.c = j->c + (r * j->rows + first) * j->cols + col, g.ldc = j->cols;
    s->kernels->gemm->block(&g);
}

static void run_weight(void *arg, int64_t begin, int64_t end)
{
    const weight_job *j = arg;
    const sweep *s = &j->s;
    for (int64_t part = begin; part < end; part++) {
        int64_t last = j->units * (part + 1) / s->parts;
        for (int64_t i = 0; i < s->batch * s->bands; i++) {
            int64_t image = i / s->bands, first = i % s->bands * s->lines,
                    lines = min_of(s->lines, s->result[0] - first);
            const leat_real *x = band(s, image, first, lines, s->scratch + part * s->room);
            const leat_real *dy = j->dy + (image * s->result[0] + first) * s->result[1] * s->out;
            for (int64_t u = j->units * part / s->parts, count; u < last; u += count) {
                count = min_of(j->strips - u % j->strips, last - u);
                weight_tiles(j, u, count, lines, x, dy, i > 0);
            }
        }
    }
}

static void plan_weight(weight_job *j, leat_pool *pool)
{
    sweep *s = &j->s;
    const leat_gemm_kernel *kernel = s->kernels->gemm;
    int64_t inner = s->taps[1] * s->in;
    j->outputs_first = vectors_of(kernel, s->out, inner) < vectors_of(kernel, inner, s->out);
    j->rows = j->outputs_first ? s->out : inner;
    j->cols = j->outputs_first ? inner : s->out;
    s->strip = even(j->rows, kernel->rows);
    j->strips = divide_up(j->rows, s->strip);
    j->width = j->rows <= 2 ? kernel->wide : kernel->cols;
    int threads = leat_pool_threads(pool);
    if (threads > 1 && s->taps[0] * j->strips * divide_up(j->cols, j->width) < BANDS_PER_PART * threads)
        j->width = kernel->lanes;
    j->units = s->taps[0] * j->strips * divide_up(j->cols, j->width);
    plan_bands(s, 1);
    s->parts = parts_of(s, pool, j->units);
    s->room = s->room_band;
}

static void unpack_weight(const weight_job *j, leat_real *dw)
{
    const sweep *s = &j->s;
    int64_t taps = positions(s->taps);
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < s->in; i++) {
                int64_t r = t / s->taps[1], at = t % s->taps[1] * s->in + i;
                int64_t row = j->outputs_first ? o : at, col = j->outputs_first ? at : o;
                dw[(o * s->in + i) * taps + t] = j->c[(r * j->rows + row) * j->cols + col];
            }
}

leat_code leat_conv_weight_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *dy,
                                    const leat_real *x, leat_real *dw)
{
    int64_t rows = v->batch * positions(v->result), count = v->out * v->in * positions(v->kernel);
    if (rows == 0 || is_product(v)) {
        leat_gemm_args g = { .trans_a = true, .m = v->out, .k = rows, .lda = v->out, .a = dy, .b = x, .c = dw };
        g.n = g.ldb = g.ldc = count / (v->out ? v->out : 1);
        return leat_gemm_with(kernels_of(v), pool, scratch, &g);
    }
    if (count == 0)
        return LEAT_OK;
    weight_job j = { .s = forward_sweep(v), .dy = dy };
    sweep *s = &j.s;
    leat_arena_mark mark = leat_arena_save(scratch);
    s->x = x;
    plan_weight(&j, pool);
    j.c = take(scratch, count);
    s->scratch = take(scratch, s->room * s->parts);
    int64_t *at = leat_arena_alloc(scratch, 2 * (size_t)s->lines * sizeof *at);
    leat_code code = j.c && s->scratch && at ? LEAT_OK : LEAT_ENOMEM;
    if (!code) {
        int64_t *at_x = at, *at_dy = at + s->lines;
        for (int64_t i = 0; i < s->lines; i++)
            at_x[i] = i * s->step[0] * s->row, at_dy[i] = i * s->result[1] * s->out;
        s->a_at = j.outputs_first ? at_dy : at_x;
        s->b_at = j.outputs_first ? at_x : at_dy;
        leat_parallel_for(pool, s->parts, 1, run_weight, &j);
        unpack_weight(&j, dw);
    }
    leat_arena_restore(scratch, mark);
    return code;
}
