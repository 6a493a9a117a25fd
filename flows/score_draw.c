/*
 * Any number of rows, a chunk at a time, so that memory does not grow with their number. What a row gives is a function
 * of that row alone, to the bit, so the size of a chunk is nobody's business: the first tells how many bytes a row takes,
 * the others are as large as CHUNK_BYTES allow.
 *
 * Chance keeps to this, too. A row that is drawn takes its random numbers from a place of its own in the tape's stream. A
 * row that is given, to a transform that draws, takes them from a place that follows from its own bits.
 */
#include "flow_impl.h"
#include "../autograd/tape.h"

#include <math.h>
#include <string.h>

enum { FIRST_ROWS = 64, MOST_ROWS = 2048, CHUNK_BYTES = 32 << 20 };

typedef struct job {
    leat_flow *flow;
    leat_tape *tape;
    leat_tensor in, context; /* [n, ..]; rank 0: none */
    int64_t n;
    bool inverse, density; /* density: the numbers are log-densities */
    bool looked, sound;    /* whether the weights have been looked at, and are finite */
    uint64_t first;        /* of draws: where the numbers of the first begin */
    double temperature;
    uint64_t *starts; /* of a chunk's random numbers; NULL: there is no chance */
    /* where results go; NULL: not wanted */
    leat_real *rows;
    double *numbers;
} job;

static bool is_none(const leat_tensor *t)
{
    return !t->data && t->shape.rank == 0;
}

static bool all_finite(const leat_real *x, int64_t n)
{
    int64_t i = 0;
    while (i < n && isfinite(x[i]))
        i++;
    return i >= n;
}

static void see_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    bool *finite = v->user;
    (void)owner;
    *finite = *finite && all_finite(p->leaf.value, leat_shape_count(&p->leaf.shape));
}

static void see_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    bool *finite = v->user;
    (void)owner;
    *finite = *finite && all_finite(b->value.data, leat_shape_count(&b->value.shape));
}

/* A row so far out that numbers overflow on the way to its density, which is 0: the two infinities that meet there make
 * a NaN. A NaN for which the row, its context or the weights are to blame stays one. */
static bool is_far(job *j, int64_t row)
{
    const leat_tensor *parts[2] = { &j->in, &j->context };
    leat_visitor v = { .user = &j->sound, .param = see_param, .buffer = see_buffer };
    if (!j->looked) {
        j->looked = j->sound = true;
        leat_visit_model(&v, leat_flow_model(j->flow));
    }
    bool finite = j->sound;
    for (int k = 0; k < 2 && finite && !is_none(parts[k]); k++)
        finite = all_finite(parts[k]->data + row * parts[k]->shape.size[1], parts[k]->shape.size[1]);
    return finite;
}

/* The result of a chunk: y for j->rows, logdet for j->numbers; either may be absent. */
typedef leat_pair chunk_fn(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows);

static leat_var part_of(job *j, leat_tensor whole, int64_t begin, int64_t rows)
{
    if (is_none(&whole))
        return (leat_var){ 0 };
    if (whole.shape.rank == 2 && whole.data) { /* any other rank is refused by the flow, as it is */
        whole.data += begin * whole.shape.size[1];
        whole.shape.size[0] = rows;
    }
    return leat_borrow(j->tape, whole);
}

static void run_chunk(job *j, chunk_fn *fn, int64_t begin, int64_t rows)
{
    leat_var in = part_of(j, j->in, begin, rows), context = part_of(j, j->context, begin, rows);
    leat_pair out = fn(j, in, context, begin, rows);
    if (leat_tape_code(j->tape))
        return;
    leat_tensor y = leat_value(out.y);
    int64_t count = leat_shape_count(&y.shape);
    if (j->rows && count)
        memcpy(j->rows + begin * y.shape.size[1], y.data, (size_t)count * sizeof *y.data);
    if (j->numbers) {
        const leat_real *numbers = leat_value(out.logdet).data;
        for (int64_t i = 0; i < rows; i++)
            j->numbers[begin + i] =
                j->density && isnan(numbers[i]) && is_far(j, begin + i) ? -(double)INFINITY : (double)numbers[i];
    }
}

static bool context_has_every_row(job *j)
{
    char text[LEAT_SHAPE_TEXT];
    if (is_none(&j->context) || (j->context.shape.rank == 2 && j->context.shape.size[0] == j->n))
        return true;
    leat_tape_fail(j->tape, LEAT_ESHAPE, "%lld rows are given a context of shape %s", (long long)j->n,
                   leat_shape_print(&j->context.shape, text));
    return false;
}

/* Where each of the rows takes its random numbers. */
static void place_rows(job *j, int64_t begin, int64_t rows)
{
    uint64_t each = (uint64_t)leat_flow_numbers_per_row(j->flow, true);
    size_t bytes = is_none(&j->in) ? 0 : (size_t)j->in.shape.size[1] * sizeof(leat_real);
    for (int64_t i = 0; i < rows; i++) {
        const unsigned char *byte = (const unsigned char *)j->in.data + (size_t)(begin + i) * bytes;
        uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, and a last mixing, so that near rows are far apart */
        for (size_t k = 0; k < bytes; k++)
            hash = (hash ^ byte[k]) * 0x100000001b3;
        hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93;
        j->starts[i] = bytes ? hash ^ hash >> 32 : j->first + (uint64_t)(begin + i) * each;
    }
    leat_tape_set_row_starts(j->tape, rows, j->starts);
}

/* Room for the places of random numbers, if any are taken: `few`, or memory; false if there is none. */
static bool chance_fits(job *j, uint64_t few[FIRST_ROWS], leat_arena *scratch)
{
    bool given = !is_none(&j->in);
    if (!j->flow || (given && (j->in.shape.rank != 2 || !leat_flow_numbers_per_row(j->flow, j->inverse))))
        return true;
    j->starts = j->n <= FIRST_ROWS ? few : leat_arena_alloc(scratch, MOST_ROWS * sizeof *j->starts);
    if (!j->starts)
        leat_tape_fail(j->tape, LEAT_ENOMEM, "out of memory for the places of random numbers");
    return j->starts != NULL;
}

static int64_t next_rows(const job *j, int64_t rows, int64_t done)
{
    if (!rows)
        return j->n < FIRST_ROWS ? j->n : FIRST_ROWS;
    size_t each = j->tape->step.peak / (size_t)rows;
    int64_t most = (int64_t)(CHUNK_BYTES / (each ? each : 1));
    most = most < 1 ? 1 : most < MOST_ROWS ? most : MOST_ROWS;
    return j->n - done < most ? j->n - done : most;
}

static leat_code run_job(job *j, chunk_fn *fn)
{
    leat_tape *t = j->tape;
    bool recording = leat_tape_set_recording(t, false), training = leat_tape_set_training(t, false);
    leat_rng was = *leat_tape_rng(t);
    int64_t done = 0, rows = 0;
    uint64_t few[FIRST_ROWS];
    leat_arena scratch;
    leat_arena_init(&scratch, t->step.allocator);
    leat_tape_reset(t);
    if (context_has_every_row(j) && chance_fits(j, few, &scratch)) {
        size_t peak = t->step.peak;
        do { /* once for no rows too: a failed model must be told */
            rows = next_rows(j, rows, done);
            leat_tape_reset(t);
            t->step.peak = 0;
            if (j->starts)
                place_rows(j, done, rows);
            run_chunk(j, fn, done, rows);
            done += rows;
            peak = t->step.peak > peak ? t->step.peak : peak;
        } while (done < j->n && !leat_tape_code(t));
        t->step.peak = peak;
    }
    leat_arena_free(&scratch);
    leat_tape_set_row_starts(t, 0, NULL);
    *leat_tape_rng(t) = was;
    leat_tape_set_recording(t, recording);
    leat_tape_set_training(t, training);
    return leat_tape_code(t);
}

static int64_t rows_of(const leat_tensor *t)
{
    return t->shape.rank ? t->shape.size[0] : 0;
}

/* ---- encoding, decoding, scoring --------------------------------------------------------------------------------- */

static leat_pair encode_chunk(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows)
{
    (void)begin, (void)rows;
    return leat_flow_forward_given(j->flow, in, context);
}

static leat_pair decode_chunk(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows)
{
    (void)begin, (void)rows;
    return leat_flow_inverse_given(j->flow, in, context);
}

static leat_pair score_chunk(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows)
{
    (void)begin, (void)rows;
    return (leat_pair){ in, leat_flow_log_prob_given(j->flow, in, context) };
}

static leat_code run_rows(chunk_fn *fn, leat_flow *f, leat_tape *t, leat_tensor in, leat_tensor context,
                          leat_real *rows, double *numbers)
{
    leat_real zero = 0;
    if (is_none(&in)) /* a scalar, which is refused as such */
        in.data = &zero;
    job j = { .flow = f,
              .tape = t,
              .in = in,
              .context = context,
              .n = rows_of(&in),
              .inverse = fn == decode_chunk,
              .density = fn == score_chunk,
              .rows = rows,
              .numbers = numbers };
    return run_job(&j, fn);
}

leat_code leat_flow_encode(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, leat_real *z, double *logdet)
{
    return run_rows(encode_chunk, f, t, x, context, z, logdet);
}

leat_code leat_flow_decode(leat_flow *f, leat_tape *t, leat_tensor z, leat_tensor context, leat_real *x, double *logdet)
{
    return run_rows(decode_chunk, f, t, z, context, x, logdet);
}

leat_code leat_flow_score_given(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, double *out)
{
    return run_rows(score_chunk, f, t, x, context, NULL, out);
}

leat_code leat_flow_score(leat_flow *f, leat_tape *t, leat_tensor x, double *out)
{
    return leat_flow_score_given(f, t, x, (leat_tensor){ 0 }, out);
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

static leat_pair draw_chunk(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows)
{
    (void)in, (void)begin;
    leat_tape *t = j->tape;
    leat_pair x = { .y = leat_flow_sample_given(j->flow, t, rows, j->temperature, context) };
    if (leat_tape_code(t) || rows == 0)
        return x;
    int64_t each = leat_flow_numbers_per_row(j->flow, true);
    if (t->row_used != each)
        leat_tape_fail(t, LEAT_ESTATE,
                       "a draw took %lld random numbers, and its parts say %lld: its rows cannot be drawn one by one",
                       (long long)t->row_used, (long long)each);
    return x;
}

leat_code leat_flow_draw_rows(leat_flow *f, leat_tape *t, int64_t first, int64_t n, double temperature,
                              leat_tensor context, leat_real *out)
{
    job j = {
        .flow = f, .tape = t, .context = context, .n = n, .inverse = true, .temperature = temperature, .rows = out
    };
    uint64_t each = f ? (uint64_t)leat_flow_numbers_per_row(f, true) : 0;
    leat_tape_reset(t);
    if (first < 0) {
        leat_tape_fail(t, LEAT_EARG, "draws from row %lld on", (long long)first);
        return leat_tape_code(t);
    }
    j.first = (uint64_t)first * each;
    return run_job(&j, draw_chunk);
}

leat_code leat_flow_draw_given(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_tensor context,
                               leat_real *out)
{
    uint64_t each = f ? (uint64_t)leat_flow_numbers_per_row(f, true) : 0, from = leat_tape_rng(t)->position;
    job j = { .flow = f,
              .tape = t,
              .context = context,
              .n = n,
              .inverse = true,
              .first = from,
              .temperature = temperature,
              .rows = out };
    leat_code code = run_job(&j, draw_chunk);
    if (!code && n > 0)
        leat_tape_rng(t)->position = from + (uint64_t)n * each;
    return code;
}

leat_code leat_flow_draw(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_real *out)
{
    return leat_flow_draw_given(f, t, n, temperature, (leat_tensor){ 0 }, out);
}
