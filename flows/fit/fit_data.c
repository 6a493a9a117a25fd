/*
 * The data of a fit: what is refused, which rows are held out, and the loss on those.
 *
 * The rows held out are the first of a random permutation. Both parts keep the order of the data.
 */
#include "fit_impl.h"

#include <math.h>
#include <string.h>

#define STREAM_SPLIT      ((uint64_t)1 << 36)
#define STREAM_HELD_NOISE (((uint64_t)1 << 36) + 2)
#define STREAM_NOISE      ((uint64_t)1 << 37)

/* ---- data in double ---------------------------------------------------------------------------------------------- */

/* As leat_real, in the model's memory, behind the standardizer unless that is NULL; and the log-determinants. */
static leat_tensor convert(leat_fit *f, const leat_doubles *d, const leat_transform *standardizer, double *logdet)
{
    leat_tensor out = leat_tensor_new(leat_model_arena(f->model), LEAT_SHAPE(d->rows, d->columns), &f->status);
    leat_rng rng = leat_rng_new(f->o.seed, STREAM_HELD_NOISE);
    if (out.data)
        leat_units_apply(standardizer, d->data, d->rows, d->columns, &(leat_dequantizer){ .rng = &rng }, out.data,
                         logdet);
    return out;
}

leat_code leat_fit_take_doubles(leat_fit *f)
{
    leat_fit_opts *o = &f->o;
    const leat_flow *flow = f->flow;
    const leat_standardizer_parts *input = (const leat_standardizer_parts *)flow->input;
    if (!o->doubles.data)
        return LEAT_OK;
    if (o->doubles.columns != leat_flow_dim(flow) ||
        (o->context_doubles.data && o->context_doubles.columns != flow->context))
        return leat_fail(&f->status, LEAT_ESHAPE, "fit: data of %lld columns and a context of %lld, not %lld and %lld",
                         (long long)o->doubles.columns, (long long)o->context_doubles.columns,
                         (long long)leat_flow_dim(flow), (long long)flow->context);
    f->standardized = !o->loss;
    f->dequantized = f->standardized && input && input->whole;
    f->noisy_epoch = -1;
    f->logdet = leat_arena_zalloc(leat_model_arena(f->model), (size_t)o->doubles.rows * sizeof *f->logdet);
    if (!f->logdet)
        return leat_fail(&f->status, LEAT_ENOMEM, "fit: out of memory for %lld rows", (long long)o->doubles.rows);
    o->data = convert(f, &o->doubles, f->standardized ? flow->input : NULL, f->standardized ? f->logdet : NULL);
    for (int64_t i = 0; i < o->doubles.rows && !f->status.code; i++)
        if (!isfinite(f->logdet[i]))
            leat_fail(&f->status, LEAT_EARG, "fit: data, row %lld (from 1) is not inside of the bounds",
                      (long long)i + 1);
    if (o->context_doubles.data)
        o->context = convert(f, &o->context_doubles, f->standardized ? flow->context_input : NULL, NULL);
    return f->status.code;
}

/* Adds to a part what its rows lose or gain by the standardizer, in the mean. */
static void measure_units(const leat_fit *f, leat_fit_part *part)
{
    double sum = 0;
    for (int64_t i = 0; f->logdet && i < part->rows; i++)
        sum += f->logdet[part->index ? part->index[i] : i];
    part->logdet = part->rows ? sum / (double)part->rows : 0;
}

void leat_fit_dequantize(leat_fit *f)
{
    leat_fit_part *part = &f->train;
    int64_t columns = f->o.doubles.columns;
    leat_rng rng = leat_rng_new(f->o.seed, STREAM_NOISE + (uint64_t)f->epoch);
    if (!f->dequantized || f->noisy_epoch == f->epoch)
        return;
    for (int64_t i = 0; i < part->rows; i++) {
        int64_t row = part->index ? part->index[i] : i;
        leat_units_apply(f->flow->input, f->o.doubles.data + row * columns, 1, columns,
                         &(leat_dequantizer){ .rng = &rng }, f->o.data.data + row * columns, &f->logdet[row]);
    }
    measure_units(f, part);
    f->noisy_epoch = f->epoch;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static leat_code check_finite(const char *what, leat_tensor t, leat_status *s)
{
    int64_t columns = t.shape.size[1], count = leat_shape_count(&t.shape);
    for (int64_t i = 0; i < count; i++) {
        double x = (double)t.data[i];
        if (!isfinite(x))
            return leat_fail(s, LEAT_ENONFINITE, "fit: %s, row %lld, column %lld (from 1): %s is not a finite number",
                             what, (long long)(i / columns + 1), (long long)(i % columns + 1),
                             isnan(x) ? "nan"
                             : x > 0  ? "inf"
                                      : "-inf");
    }
    return LEAT_OK;
}

static leat_code check_context(const leat_flow *flow, const leat_fit_opts *o, leat_status *s)
{
    char text[LEAT_SHAPE_TEXT];
    leat_shape wanted = LEAT_SHAPE(leat_fit_shape(o).size[0], flow->context);
    if (!o->context.data && !flow->context)
        return LEAT_OK;
    if (!o->context.data)
        return leat_fail(s, LEAT_ESHAPE, "fit: the flow is conditional and there is no context of %lld features",
                         (long long)flow->context);
    if (!flow->context)
        return leat_fail(s, LEAT_ESHAPE, "fit: the flow is not conditional and there is a context of shape %s",
                         leat_shape_print(&o->context.shape, text));
    if (!leat_shape_equal(&o->context.shape, &wanted))
        return leat_fail(s, LEAT_ESHAPE, "fit: the context is %s, not [%lld,%lld]",
                         leat_shape_print(&o->context.shape, text), (long long)wanted.size[0],
                         (long long)wanted.size[1]);
    return check_finite("context", o->context, s);
}

leat_code leat_fit_check_data(const leat_flow *flow, const leat_fit_opts *o, leat_status *s)
{
    leat_shape all = leat_fit_shape(o), *shape = &all;
    char text[LEAT_SHAPE_TEXT];
    bool missing = !o->data.data && !o->bytes.data;
    if (missing && o->loss && shape->rank == 0) {
        if (o->steps < 1 || o->validation > 0)
            return leat_fail(s, LEAT_EARG, "fit: without data: %lld steps of an epoch, a validation part of %g",
                             (long long)o->steps, o->validation);
        return o->context.data ? leat_fail(s, LEAT_EARG, "fit: a context without data") : LEAT_OK;
    }
    if (missing || shape->rank != 2 || leat_shape_count(shape) < 0 || shape->size[1] != leat_flow_dim(flow))
        return leat_fail(s, LEAT_ESHAPE, "fit: the data are %s, not [rows,%lld]",
                         missing ? "missing" : leat_shape_print(shape, text), (long long)leat_flow_dim(flow));
    int64_t rows = shape->size[0], held = leat_fit_held_rows(o);
    if (rows < 1)
        return leat_fail(s, LEAT_ESHAPE, "fit: the data have no rows");
    if (held == rows)
        return leat_fail(s, LEAT_EARG, "fit: holding out %lld leaves no row of %lld to train on",
                         (long long)(o->held_last > 0 ? o->held_last : held), (long long)rows);
    if (o->validation > 0 && held == 0)
        return leat_fail(s, LEAT_EARG, "fit: a validation part of %g holds out no row of %lld", o->validation,
                         (long long)rows);
    if (o->data.data && check_finite("data", o->data, s))
        return s->code;
    return check_context(flow, o, s);
}

/* ---- the split --------------------------------------------------------------------------------------------------- */

leat_shape leat_fit_shape(const leat_fit_opts *o)
{
    return o->bytes.data     ? LEAT_SHAPE(o->bytes.rows, o->bytes.columns)
           : o->doubles.data ? LEAT_SHAPE(o->doubles.rows, o->doubles.columns)
                             : o->data.shape;
}

int64_t leat_fit_held_rows(const leat_fit_opts *o)
{
    int64_t rows = leat_fit_shape(o).size[0];
    double part = o->validation > 0 && o->validation < 1 ? rint(o->validation * (double)rows) : 0;
    double held = o->held_last > 0 ? (double)o->held_last : part;
    return held < (double)rows ? (int64_t)held : rows;
}

static bool take_part(leat_fit *f, leat_fit_part *part, const bool *held, bool which, int64_t rows)
{
    int64_t all = leat_fit_shape(&f->o).size[0];
    part->index = leat_arena_alloc(leat_model_arena(f->model), (size_t)rows * sizeof *part->index);
    for (int64_t i = 0; part->index && i < all; i++) {
        if (held[i] == which)
            part->index[part->rows++] = i;
    }
    return part->index != NULL;
}

leat_code leat_fit_held(const leat_fit_opts *o, bool *held)
{
    int64_t rows = leat_fit_shape(o).size[0], held_rows = leat_fit_held_rows(o);
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    int64_t *order = leat_arena_alloc(&scratch, (size_t)rows * sizeof *order);
    leat_rng rng = leat_rng_new(o->seed, STREAM_SPLIT);
    if (order && o->held_last == 0)
        leat_rng_permutation(&rng, order, rows);
    for (int64_t i = 0; order && i < rows; i++)
        held[o->held_last == 0 ? order[i] : rows - 1 - i] = i < held_rows;
    leat_arena_free(&scratch);
    return order ? LEAT_OK : LEAT_ENOMEM;
}

static bool split(leat_fit *f, leat_arena *scratch, int64_t rows, int64_t held_rows)
{
    bool *held = leat_arena_zalloc(scratch, (size_t)rows * sizeof *held);
    f->scores = leat_arena_alloc(leat_model_arena(f->model), (size_t)held_rows * sizeof *f->scores);
    if (!held || !f->scores || leat_fit_held(&f->o, held))
        return false;
    return take_part(f, &f->train, held, false, rows - held_rows) && take_part(f, &f->held, held, true, held_rows);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Room for a batch, and for as many validation rows as are worth a call. */
static bool make_blocks(leat_fit *f, leat_shape all)
{
    enum { HELD_ROWS = 1024 };
    leat_arena *a = leat_model_arena(f->model);
    int64_t batch = least(f->o.batch, f->train.rows), held = least(HELD_ROWS, f->held.rows);
    f->block_rows = batch > held ? batch : held;
    f->block = leat_arena_alloc(a, (size_t)(f->block_rows * all.size[1]) * sizeof(leat_real));
    f->block_context = leat_arena_alloc(a, (size_t)(f->block_rows * f->flow->context) * sizeof(leat_real));
    return f->block && f->block_context;
}

leat_code leat_fit_split(leat_fit *f)
{
    leat_shape all = leat_fit_shape(&f->o);
    int64_t rows = all.rank ? all.size[0] : 0, held_rows = leat_fit_held_rows(&f->o);
    bool done = true;
    if (held_rows > 0) {
        leat_arena scratch;
        leat_arena_init(&scratch, leat_model_arena(f->model)->allocator);
        done = split(f, &scratch, rows, held_rows);
        leat_arena_free(&scratch);
    } else {
        f->train.rows = rows;
    }
    if (!done || (rows && !make_blocks(f, all)))
        return leat_fail(&f->status, LEAT_ENOMEM, "fit: out of memory for %lld rows", (long long)rows);
    measure_units(f, &f->train);
    measure_units(f, &f->held);
    return LEAT_OK;
}

/* One row of the data as numbers. */
static void copy_row(const leat_fit_opts *o, int64_t row, int64_t columns, leat_real *to)
{
    if (!o->bytes.data && columns)
        memcpy(to, o->data.data + row * columns, (size_t)columns * sizeof *to);
    for (int64_t j = 0; o->bytes.data && j < columns; j++)
        to[j] = (leat_real)o->bytes.data[row * columns + j];
}

void leat_fit_take(leat_fit *f, const leat_fit_part *part, const int64_t *which, int64_t rows, leat_tensor *x,
                   leat_tensor *context)
{
    leat_shape all = leat_fit_shape(&f->o);
    int64_t columns = all.rank ? all.size[1] : 0, width = f->flow->context;
    *x = *context = (leat_tensor){ 0 };
    if (!part->rows)
        return;
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = which ? which[i] : i, row = part->index ? part->index[at] : at;
        copy_row(&f->o, row, columns, f->block + i * columns);
        if (width)
            memcpy(f->block_context + i * width, f->o.context.data + row * width, (size_t)width * sizeof(leat_real));
    }
    *x = (leat_tensor){ f->block, LEAT_SHAPE(rows, columns) };
    if (width)
        *context = (leat_tensor){ f->block_context, LEAT_SHAPE(rows, width) };
}

/* ---- the validation loss ----------------------------------------------------------------------------------------- */

leat_code leat_fit_validate(leat_fit *f, double *loss, leat_status *s)
{
    int64_t n = f->held.rows, *index = f->held.index, rows;
    leat_fit_part rest = f->held; /* from row i on */
    double total = 0;
    for (int64_t i = 0; i < n; i += rows) {
        leat_tensor x, context;
        rows = least(f->block_rows, n - i);
        rest.index = index + i;
        leat_fit_take(f, &rest, NULL, rows, &x, &context);
        if ((f->standardized ? leat_flow_score_units : leat_flow_score_given)(f->flow, f->tape, x, context,
                                                                              f->scores + i))
            return leat_fail(s, leat_tape_code(f->tape), "%s", leat_tape_errmsg(f->tape));
    }
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(f->scores[i]))
            return leat_fail(s, LEAT_ENONFINITE, "row %lld of the data (from 1) has the log-density %g",
                             (long long)index[i] + 1, f->scores[i]);
        total -= f->scores[i];
    }
    *loss = total / (double)n - f->held.logdet;
    return LEAT_OK;
}

/* ---- hash -------------------------------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3;
    return hash;
}

static uint64_t hash_tensor(uint64_t hash, leat_tensor t)
{
    if (!t.data)
        return hash;
    hash = hash_bytes(hash, t.shape.size, (size_t)t.shape.rank * sizeof t.shape.size[0]);
    return hash_bytes(hash, t.data, (size_t)leat_shape_count(&t.shape) * sizeof(leat_real));
}

static uint64_t hash_byte_rows(uint64_t hash, leat_byte_rows b)
{
    return b.data ? hash_bytes(hash_bytes(hash, &b.columns, sizeof b.columns), b.data, (size_t)(b.rows * b.columns))
                  : hash;
}

static uint64_t hash_doubles(uint64_t hash, leat_doubles d)
{
    return d.data ? hash_bytes(hash_bytes(hash, &d.columns, sizeof d.columns), d.data,
                               (size_t)(d.rows * d.columns) * sizeof *d.data)
                  : hash;
}

uint64_t leat_fit_hash(const leat_fit *f)
{
    const leat_fit_opts *o = &f->o;
    leat_units u;
    leat_flow_units(f->flow, &u);
    if (o->doubles.data) {
        const double *units[] = { u.mean, u.sd, u.lower, u.upper, u.whole };
        uint64_t hash = hash_doubles(hash_doubles(0xcbf29ce484222325, o->doubles), o->context_doubles);
        for (size_t k = 0; k < sizeof units / sizeof *units; k++)
            hash = units[k] ? hash_bytes(hash, units[k], (size_t)u.columns * sizeof *units[k]) : hash;
        return hash;
    }
    return hash_tensor(hash_tensor(hash_byte_rows(0xcbf29ce484222325, o->bytes), o->data), o->context);
}
