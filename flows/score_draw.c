/*
 * Any number of rows, a chunk at a time, so that memory does not grow with their number. What a row gives is a function
 * of that row alone, to the bit, so the size of a chunk is nobody's business.
 */
#include "flow_impl.h"

#include <string.h>

enum { CHUNK_ROWS = 2048 };

typedef struct job {
    leat_flow *flow;
    leat_tape *tape;
    leat_tensor in, context; /* [n, ..]; rank 0: none */
    int64_t n;
    int64_t first; /* of the draws */
    double temperature;
    /* where results go; NULL: not wanted */
    leat_real *rows;
    double *numbers;
} job;

/* The result of a chunk: y for j->rows, logdet for j->numbers; either may be absent. */
typedef leat_pair chunk_fn(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows);

static bool is_none(const leat_tensor *t)
{
    return !t->data && t->shape.rank == 0;
}

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
            j->numbers[begin + i] = (double)numbers[i];
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

static leat_code run_job(job *j, chunk_fn *fn)
{
    bool recording = leat_tape_set_recording(j->tape, false), training = leat_tape_set_training(j->tape, false);
    int64_t done = 0;
    leat_tape_reset(j->tape);
    if (context_has_every_row(j)) {
        do { /* once for no rows too: a failed model must be told */
            int64_t rows = j->n - done < CHUNK_ROWS ? j->n - done : CHUNK_ROWS;
            leat_tape_reset(j->tape);
            run_chunk(j, fn, done, rows);
            done += rows;
        } while (done < j->n && !leat_tape_code(j->tape));
    }
    leat_tape_set_recording(j->tape, recording);
    leat_tape_set_training(j->tape, training);
    return leat_tape_code(j->tape);
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
    job j = { .flow = f, .tape = t, .in = in, .context = context, .n = rows_of(&in), .rows = rows, .numbers = numbers };
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

static leat_pair draw_on(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows)
{
    (void)in, (void)begin;
    return (leat_pair){ .y = leat_flow_sample_given(j->flow, j->tape, rows, j->temperature, context) };
}

leat_code leat_flow_draw(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_real *out)
{
    job j = { .flow = f, .tape = t, .n = n, .temperature = temperature, .rows = out };
    return run_job(&j, draw_on);
}

/* The random numbers of a row have a place of their own in the stream. A part that takes more than the base says would
 * read those of the next chunk. */
static leat_pair draw_at(job *j, leat_var in, leat_var context, int64_t begin, int64_t rows)
{
    (void)in;
    leat_rng *rng = leat_tape_rng(j->tape);
    uint64_t each = (uint64_t)leat_flow_numbers_per_row(j->flow), start = (uint64_t)(j->first + begin) * each;
    rng->position = start;
    leat_pair x = { .y = leat_flow_sample_given(j->flow, j->tape, rows, j->temperature, context) };
    uint64_t took = rng->position - start;
    if (!leat_tape_code(j->tape) && took != (uint64_t)rows * each)
        leat_tape_fail(j->tape, LEAT_ESTATE,
                       "%lld draws took %llu random numbers, not %llu for each: its rows cannot be drawn one by one",
                       (long long)rows, (unsigned long long)took, (unsigned long long)each);
    return x;
}

leat_code leat_flow_draw_given(leat_flow *f, leat_tape *t, int64_t first, int64_t n, double temperature,
                               leat_tensor context, leat_real *out)
{
    job j = {
        .flow = f, .tape = t, .context = context, .n = n, .first = first, .temperature = temperature, .rows = out
    };
    if (first >= 0)
        return run_job(&j, draw_at);
    leat_tape_reset(t);
    leat_tape_fail(t, LEAT_EARG, "draws from row %lld on", (long long)first);
    return leat_tape_code(t);
}
