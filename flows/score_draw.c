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
#include "../tensor/kernels/elementary.h"

#include <math.h>
#include <string.h>

enum { FIRST_ROWS = 64, MOST_ROWS = 2048, CHUNK_BYTES = 32 << 20 };

/* Rows as leat_real, or in double: those go into `units`, a chunk at a time, through the flow's standardizer. */
typedef struct source {
    leat_tensor reals;
    leat_doubles doubles;
    const leat_transform *standardizer;
    leat_real *units;
    double *logdet; /* of the standardizer, for each row of the chunk; NULL: nobody asks */
} source;

typedef struct job {
    leat_flow *flow;
    leat_tape *tape;
    source in, context; /* of n rows */
    int64_t n;
    bool inverse, standardized; /* standardized: the flow is run behind its standardizer, as doubles want it */
    bool density;               /* the numbers are log-densities */
    bool looked, sound;         /* whether the weights have been looked at, and are finite */
    uint64_t first;             /* of draws: where the numbers of the first begin */
    double temperature;
    int64_t point; /* by which whole numbers are dequantized, and transforms draw */
    leat_ledger *ledger;
    uint64_t *starts; /* of a chunk's random numbers; NULL: there is no chance */
    /* where results go; NULL: not wanted */
    leat_real *rows;
    double *rows_in_double, *numbers;
} job;

/* The result of a chunk: y for j->rows, logdet for j->numbers; either may be absent. */
typedef leat_pair chunk_fn(job *j, leat_var in, const leat_flow_call *call, int64_t rows);

static bool is_none(const source *s)
{
    return !s->reals.data && s->reals.shape.rank == 0 && !s->doubles.data;
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
    if (!b->doubles) /* units: bounds may be infinite */
        *finite = *finite && all_finite(b->value.data, leat_shape_count(&b->value.shape));
}

/* Whether the numbers of a row are finite. */
static bool is_finite_row(const source *s, int64_t row)
{
    if (s->doubles.data) {
        int64_t j = 0;
        while (j < s->doubles.columns && isfinite(s->doubles.data[row * s->doubles.columns + j]))
            j++;
        return j == s->doubles.columns;
    }
    return is_none(s) || all_finite(s->reals.data + row * s->reals.shape.size[1], s->reals.shape.size[1]);
}

/* A row so far out that numbers overflow on the way to its density, which is 0: the two infinities that meet there make
 * a NaN. A NaN for which the row, its context or the weights are to blame stays one. */
static bool is_far(job *j, int64_t row)
{
    leat_visitor v = { .user = &j->sound, .param = see_param, .buffer = see_buffer };
    if (!j->looked) {
        j->looked = j->sound = true;
        leat_visit_model(&v, leat_flow_model(j->flow));
    }
    return j->sound && is_finite_row(&j->in, row) && is_finite_row(&j->context, row);
}

static leat_var part_of(job *j, const source *s, int64_t begin, int64_t rows)
{
    leat_tensor part = s->reals;
    if (is_none(s))
        return (leat_var){ 0 };
    if (s->units) {
        int64_t columns = s->doubles.columns;
        leat_units_apply(s->standardizer, s->doubles.data + begin * columns, rows, columns,
                         &(leat_dequantizer){ .point = j->point }, s->units, s->logdet);
        part = (leat_tensor){ s->units, LEAT_SHAPE(rows, columns) };
    } else if (part.shape.rank == 2 && part.data) { /* any other rank is refused by the flow, as it is */
        part.data += begin * part.shape.size[1];
        part.shape.size[0] = rows;
    }
    return leat_borrow(j->tape, part);
}

static void run_chunk(job *j, chunk_fn *fn, int64_t begin, int64_t rows)
{
    leat_flow_call call = { .standardized = j->standardized, .ledger = j->ledger };
    if (j->ledger)
        j->ledger->begin = begin;
    leat_var in = part_of(j, &j->in, begin, rows);
    call.context = part_of(j, &j->context, begin, rows);
    leat_pair out = fn(j, in, &call, rows);
    if (leat_tape_code(j->tape))
        return;
    leat_tensor y = leat_value(out.y);
    int64_t count = leat_shape_count(&y.shape), columns = count ? y.shape.size[1] : 0;
    if (j->rows && count)
        memcpy(j->rows + begin * columns, y.data, (size_t)count * sizeof *y.data);
    if (j->rows_in_double)
        leat_units_undo(j->flow->input, y.data, rows, columns, j->rows_in_double + begin * columns,
                        j->numbers ? j->numbers + begin : NULL);
    for (int64_t i = 0; j->numbers && i < rows; i++) {
        double units = j->rows_in_double ? j->numbers[begin + i] : j->in.logdet ? j->in.logdet[i] : 0;
        double number = (double)leat_value(out.logdet).data[i];
        number = j->density && isnan(number) && is_far(j, begin + i) ? -(double)INFINITY : number;
        j->numbers[begin + i] = number + units;
    }
}

static bool context_has_every_row(job *j)
{
    char text[LEAT_SHAPE_TEXT];
    const source *c = &j->context;
    leat_shape shape = c->doubles.data ? LEAT_SHAPE(c->doubles.rows, c->doubles.columns) : c->reals.shape;
    if (is_none(c) || (shape.rank == 2 && shape.size[0] == j->n))
        return true;
    leat_tape_fail(j->tape, LEAT_ESHAPE, "%lld rows are given a context of shape %s", (long long)j->n,
                   leat_shape_print(&shape, text));
    return false;
}

/* Room for a chunk of rows in double; false if there is none, or another number of columns than the flow has. */
static bool units_fit(job *j, source *s, int64_t features, leat_arena *scratch)
{
    int64_t most = j->n < MOST_ROWS ? j->n : MOST_ROWS;
    if (!s->doubles.data)
        return true;
    if (s->doubles.columns != features)
        leat_tape_fail(j->tape, LEAT_ESHAPE, "a flow of %lld features is given rows of %lld columns",
                       (long long)features, (long long)s->doubles.columns);
    else if (!(s->units = leat_arena_alloc(scratch, (size_t)(most * features) * sizeof *s->units)))
        leat_tape_fail(j->tape, LEAT_ENOMEM, "out of memory for rows of %lld columns", (long long)features);
    s->logdet = s->units && s == &j->in ? leat_arena_alloc(scratch, (size_t)most * sizeof *s->logdet) : NULL;
    if (s->units && s == &j->in && !s->logdet)
        leat_tape_fail(j->tape, LEAT_ENOMEM, "out of memory for rows of %lld columns", (long long)features);
    return !leat_tape_code(j->tape);
}

/* Where each of the rows takes its random numbers. */
static void place_rows(job *j, int64_t begin, int64_t rows)
{
    uint64_t each = (uint64_t)leat_flow_numbers_per_row(j->flow, j->inverse), draw = (uint64_t)j->point * each;
    const source *s = &j->in;
    size_t bytes = s->doubles.data   ? (size_t)s->doubles.columns * sizeof(double)
                   : is_none(&j->in) ? 0
                                     : (size_t)s->reals.shape.size[1] * sizeof(leat_real);
    const unsigned char *all = s->doubles.data ? (const void *)s->doubles.data : (const void *)s->reals.data;
    for (int64_t i = 0; i < rows; i++) {
        const unsigned char *byte = all + (size_t)(begin + i) * bytes;
        uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, and a last mixing, so that near rows are far apart */
        for (size_t k = 0; k < bytes; k++)
            hash = (hash ^ byte[k]) * 0x100000001b3;
        hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93;
        j->starts[i] = bytes ? (hash ^ hash >> 32) + draw : j->first + (uint64_t)(begin + i) * each;
    }
    leat_tape_set_row_starts(j->tape, rows, j->starts);
}

/* Room for the places of random numbers, if any are taken: `few`, or memory; false if there is none. */
static bool chance_fits(job *j, uint64_t few[FIRST_ROWS], leat_arena *scratch)
{
    bool given = !is_none(&j->in), rows = j->in.doubles.data || j->in.reals.shape.rank == 2;
    if (!j->flow || (given && (!rows || !leat_flow_numbers_per_row(j->flow, j->inverse))))
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
    if (context_has_every_row(j) &&
        (!j->flow || (units_fit(j, &j->in, leat_flow_dim(j->flow), &scratch) &&
                      units_fit(j, &j->context, j->flow->context, &scratch))) &&
        chance_fits(j, few, &scratch)) {
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

/* No rows have no data, and are rows all the same; a context that is not there has no columns either. */
static source of_doubles(const leat_doubles *d, const leat_transform *standardizer)
{
    static double none;
    source s = { .doubles = *d, .standardizer = standardizer };
    if (!d->data && d->columns && !d->rows) /* no rows */
        s.doubles.data = &none;
    return s;
}

static job in_doubles(leat_flow *f, leat_tape *t, const leat_doubles *context)
{
    return (job){ .flow = f,
                  .tape = t,
                  .context = of_doubles(context, f ? f->context_input : NULL),
                  .n = context->rows,
                  .standardized = true };
}

/* ---- encoding, decoding, scoring --------------------------------------------------------------------------------- */

static leat_pair encode_chunk(job *j, leat_var in, const leat_flow_call *call, int64_t rows)
{
    (void)rows;
    leat_flow_call centred = *call;
    centred.centred = true;
    return leat_flow_run(j->flow, in, &centred, false);
}

static leat_pair decode_chunk(job *j, leat_var in, const leat_flow_call *call, int64_t rows)
{
    (void)rows;
    return leat_flow_run(j->flow, in, call, true);
}

static leat_pair score_chunk(job *j, leat_var in, const leat_flow_call *call, int64_t rows)
{
    (void)rows;
    return (leat_pair){ in, leat_flow_run_log_prob(j->flow, in, call) };
}

static leat_code run_rows(chunk_fn *fn, job *j, leat_tensor in)
{
    leat_real zero = 0;
    if (!in.data && in.shape.rank == 0) /* a scalar, which is refused as such */
        in.data = &zero;
    j->in.reals = in;
    j->n = in.shape.rank ? in.shape.size[0] : 0;
    j->inverse = fn == decode_chunk;
    j->density = fn == score_chunk;
    return run_job(j, fn);
}

leat_code leat_flow_encode(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, leat_real *z, double *logdet)
{
    job j = { .flow = f, .tape = t, .context.reals = context, .rows = z, .numbers = logdet };
    return run_rows(encode_chunk, &j, x);
}

leat_code leat_flow_decode(leat_flow *f, leat_tape *t, leat_tensor z, leat_tensor context, leat_real *x, double *logdet)
{
    job j = { .flow = f, .tape = t, .context.reals = context, .rows = x, .numbers = logdet };
    return run_rows(decode_chunk, &j, z);
}

leat_code leat_flow_score_point(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, int64_t point,
                                leat_ledger *ledger, double *out)
{
    job j = { .flow = f, .tape = t, .context.reals = context, .point = point, .ledger = ledger, .numbers = out };
    return run_rows(score_chunk, &j, x);
}

leat_code leat_flow_score_given(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, double *out)
{
    return leat_flow_score_point(f, t, x, context, 0, NULL, out);
}

leat_code leat_flow_score(leat_flow *f, leat_tape *t, leat_tensor x, double *out)
{
    return leat_flow_score_given(f, t, x, (leat_tensor){ 0 }, out);
}

static leat_code run_doubles(chunk_fn *fn, leat_flow *f, leat_tape *t, leat_doubles x, leat_doubles context,
                             leat_real *z, double *numbers)
{
    job j = in_doubles(f, t, &context);
    j.in = of_doubles(&x, f ? f->input : NULL);
    j.n = x.rows;
    j.rows = z;
    j.numbers = numbers;
    j.density = fn == score_chunk;
    return run_job(&j, fn);
}

double leat_add_to_mean(double mean, double next, int64_t k)
{
    double high = next > mean ? next : mean;
    if (!isfinite(high))
        return isnan(next) || isnan(mean) ? (double)NAN : high;
    return high + leat_log64(((double)k * leat_exp64(mean - high) + leat_exp64(next - high)) / (double)(k + 1));
}

/* Of whole numbers the mean density over the points of their intervals. */
leat_code leat_flow_score_doubles(leat_flow *f, leat_tape *t, leat_doubles x, leat_doubles context, double *out)
{
    const leat_standardizer_parts *s = f ? (const leat_standardizer_parts *)f->input : NULL;
    leat_code code = run_doubles(score_chunk, f, t, x, context, NULL, out);
    if (code || !s || !s->whole || x.rows == 0)
        return code;
    leat_arena scratch;
    leat_arena_init(&scratch, t->step.allocator);
    double *more = leat_arena_alloc(&scratch, (size_t)x.rows * sizeof *more);
    if (!more)
        leat_tape_fail(t, LEAT_ENOMEM, "out of memory for scores of %lld rows", (long long)x.rows);
    for (int64_t k = 1; more && !code && k < f->points; k++) {
        job j = in_doubles(f, t, &context);
        j.in = of_doubles(&x, f->input);
        j.n = x.rows;
        j.numbers = more;
        j.point = k;
        j.density = true;
        code = run_job(&j, score_chunk);
        for (int64_t i = 0; !code && i < x.rows; i++)
            out[i] = leat_add_to_mean(out[i], more[i], k);
    }
    leat_arena_free(&scratch);
    return leat_tape_code(t);
}

void leat_flow_set_points(leat_flow *f, int64_t points)
{
    if (f)
        f->points = points < 1 ? 1 : points;
}

leat_code leat_flow_encode_doubles(leat_flow *f, leat_tape *t, leat_doubles x, leat_doubles context, leat_real *z,
                                   double *logdet)
{
    return run_doubles(encode_chunk, f, t, x, context, z, logdet);
}

leat_code leat_flow_decode_doubles(leat_flow *f, leat_tape *t, leat_tensor z, leat_doubles context, double *x,
                                   double *logdet)
{
    job j = in_doubles(f, t, &context);
    j.rows_in_double = x;
    j.numbers = logdet;
    return run_rows(decode_chunk, &j, z);
}

leat_code leat_flow_score_units(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, double *out)
{
    job j = { .flow = f, .tape = t, .context.reals = context, .numbers = out, .standardized = true };
    return run_rows(score_chunk, &j, x);
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

static leat_pair draw_chunk(job *j, leat_var in, const leat_flow_call *call, int64_t rows)
{
    (void)in;
    leat_tape *t = j->tape;
    leat_pair x = { .y = leat_flow_run_sample(j->flow, t, rows, j->temperature, call) };
    if (leat_tape_code(t) || rows == 0)
        return x;
    int64_t each = leat_flow_numbers_per_row(j->flow, true);
    if (t->row_used != each)
        leat_tape_fail(t, LEAT_ESTATE,
                       "a draw took %lld random numbers, and its parts say %lld: its rows cannot be drawn one by one",
                       (long long)t->row_used, (long long)each);
    return x;
}

/* n draws, the first of them with the random numbers that begin at `from`. */
static leat_code run_draws(job *j, int64_t n, double temperature, uint64_t from)
{
    j->n = n;
    j->inverse = true;
    j->temperature = temperature;
    j->first = from;
    return run_job(j, draw_chunk);
}

static leat_code run_draw_rows(job *j, int64_t first, int64_t n, double temperature)
{
    leat_tape_reset(j->tape);
    if (first < 0) {
        leat_tape_fail(j->tape, LEAT_EARG, "draws from row %lld on", (long long)first);
        return leat_tape_code(j->tape);
    }
    uint64_t each = j->flow ? (uint64_t)leat_flow_numbers_per_row(j->flow, true) : 0;
    return run_draws(j, n, temperature, (uint64_t)first * each);
}

leat_code leat_flow_draw_rows(leat_flow *f, leat_tape *t, int64_t first, int64_t n, double temperature,
                              leat_tensor context, leat_real *out)
{
    job j = { .flow = f, .tape = t, .context.reals = context, .rows = out };
    return run_draw_rows(&j, first, n, temperature);
}

leat_code leat_flow_draw_rows_doubles(leat_flow *f, leat_tape *t, int64_t first, int64_t n, double temperature,
                                      leat_doubles context, double *out)
{
    job j = in_doubles(f, t, &context);
    j.rows_in_double = out;
    return run_draw_rows(&j, first, n, temperature);
}

leat_code leat_flow_draw_given(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_tensor context,
                               leat_real *out)
{
    uint64_t each = f ? (uint64_t)leat_flow_numbers_per_row(f, true) : 0, from = leat_tape_rng(t)->position;
    job j = { .flow = f, .tape = t, .context.reals = context, .rows = out };
    leat_code code = run_draws(&j, n, temperature, from);
    if (!code && n > 0)
        leat_tape_rng(t)->position = from + (uint64_t)n * each;
    return code;
}

leat_code leat_flow_draw(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_real *out)
{
    return leat_flow_draw_given(f, t, n, temperature, (leat_tensor){ 0 }, out);
}
