/* Bits per dimension, and their parts: while rows are scored, a ledger takes down every log-determinant. */
#include "flow_impl.h"
#include "../tensor/kernels/elementary.h"

#include <math.h>

#define LOG_2 0.69314718055994530942

/* ---- the ledger -------------------------------------------------------------------------------------------------- */

void leat_ledger_add(leat_ledger *l, leat_ledger_entry entry, leat_var numbers)
{
    leat_tensor t = leat_value(numbers);
    for (int64_t i = 0; t.data && i < t.shape.size[0]; i++)
        l->rows[(l->begin + i) * LEAT_LEDGER_ENTRIES + (int)entry] += (double)t.data[i];
}

static void see_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner, (void)p;
    *(bool *)v->user = true;
}

void leat_ledger_add_transform(const leat_flow_call *call, leat_transform *t, leat_var logdet)
{
    bool learned = false;
    int level = call->level < LEAT_MAX_LEVELS ? call->level : LEAT_MAX_LEVELS - 1;
    leat_visit(&(leat_visitor){ .user = &learned, .param = see_param }, &t->module);
    leat_ledger_entry entry = leat_transform_is_bound(t) ? LEAT_LEDGER_DEQUANTISATION
                              : learned                  ? (leat_ledger_entry)(LEAT_LEDGER_LEVELS + level)
                                                         : LEAT_LEDGER_PREPROCESSING;
    if (learned && level >= call->ledger->levels)
        call->ledger->levels = level + 1;
    leat_ledger_add(call->ledger, entry, logdet);
}

/* ---- bits -------------------------------------------------------------------------------------------------------- */

typedef struct tally {
    leat_ledger ledger;
    double *score, *sum, *weighted; /* [n] each: of the draw, and of all so far */
} tally;

static bool tally_new(tally *y, leat_arena *a, int64_t n)
{
    y->ledger.rows = leat_arena_zalloc(a, (size_t)(n * LEAT_LEDGER_ENTRIES) * sizeof *y->ledger.rows);
    y->score = leat_arena_zalloc(a, 3 * (size_t)n * sizeof *y->score);
    y->sum = y->score ? y->score + n : NULL;
    y->weighted = y->score ? y->score + 2 * n : NULL;
    return y->score && y->ledger.rows;
}

static leat_code draw_all(leat_flow *f, leat_tape *t, leat_tensor x, const leat_bits_opts *o, int64_t draws, tally *y)
{
    for (int64_t k = 0; k < draws; k++) {
        if (leat_flow_score_point(f, t, x, o->context, k, &y->ledger, y->score))
            return leat_tape_code(t);
        for (int64_t i = 0; i < x.shape.size[0]; i++) {
            y->sum[i] += y->score[i];
            y->weighted[i] = k ? leat_add_to_mean(y->weighted[i], y->score[i], k) : y->score[i];
        }
    }
    return LEAT_OK;
}

/* Logarithms of rows to means of bits: in the order of rows, so that it does not matter how many ran at a time. */
static void add_up(const tally *y, int64_t n, int64_t dim, int64_t draws, const leat_bits_opts *o, leat_bits *out)
{
    double unit = -1 / ((double)dim * LOG_2), entries[LEAT_LEDGER_ENTRIES] = { 0 }, squares = 0;
    *out = (leat_bits){ .levels = y->ledger.levels };
    for (int64_t i = 0; i < n; i++) {
        double bits = unit * y->sum[i] / (double)draws, weighted = unit * y->weighted[i];
        for (int e = 0; e < LEAT_LEDGER_ENTRIES; e++)
            entries[e] += unit * y->ledger.rows[i * LEAT_LEDGER_ENTRIES + e] / (double)(draws * n);
        out->bits += bits / (double)n;
        out->weighted += weighted / (double)n;
        if (o->rows)
            o->rows[i] = bits;
        if (o->weighted_rows)
            o->weighted_rows[i] = weighted;
    }
    for (int64_t i = 0; i < n; i++) {
        double from_mean = unit * y->sum[i] / (double)draws - out->bits;
        squares = fma(from_mean, from_mean, squares);
    }
    out->sd = sqrt(squares / (double)n);
    out->dequantisation = entries[LEAT_LEDGER_DEQUANTISATION];
    out->preprocessing = entries[LEAT_LEDGER_PREPROCESSING];
    out->base = entries[LEAT_LEDGER_BASE];
    for (int k = 0; k < LEAT_MAX_LEVELS; k++)
        out->level[k] = entries[LEAT_LEDGER_LEVELS + k];
}

leat_code leat_flow_bits(leat_flow *f, leat_tape *t, leat_tensor x, const leat_bits_opts *o, leat_bits *out)
{
    static const leat_bits_opts defaults;
    o = o ? o : &defaults;
    int64_t n = x.shape.rank ? x.shape.size[0] : 0, draws = o->draws > 1 ? o->draws : 1;
    leat_tape_reset(t);
    if (f && !leat_flow_is_bound(f))
        leat_tape_fail(t, LEAT_EARG, "the flow does not dequantize: it is one of real numbers, which have no bits");
    else if (n < 1)
        leat_tape_fail(t, LEAT_ESHAPE, "bits per dimension of no rows");
    if (leat_tape_code(t))
        return leat_tape_code(t);
    leat_arena scratch;
    leat_arena_init(&scratch, f ? leat_model_arena(leat_flow_model(f))->allocator : NULL);
    tally y = { 0 };
    if (!tally_new(&y, &scratch, n))
        leat_tape_fail(t, LEAT_ENOMEM, "out of memory for the bits of %lld rows", (long long)n);
    else if (!draw_all(f, t, x, o, draws, &y))
        add_up(&y, n, leat_flow_dim(f), draws, o, out);
    leat_arena_free(&scratch);
    return leat_tape_code(t);
}
