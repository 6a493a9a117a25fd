/* Batches of rows. Epoch e's order is drawn from stream + e, so it can be had again without the epochs before. */
#include "model.h"

#include <string.h>

struct leat_batches {
    leat_batches_opts opts;
    leat_tensor data;
    int64_t rows, row; /* row: numbers in one */
    int64_t *order;
    leat_real *copies; /* a shuffled batch's rows */
    uint64_t epoch;
    int64_t at, count; /* rows of this epoch that are done; rows of the current batch, the last of them */
};

leat_batches *leat_batches_new(leat_model *m, leat_tensor data, const leat_batches_opts *o)
{
    if (leat_model_code(m))
        return NULL;
    if (data.shape.rank < 1 || leat_shape_count(&data.shape) < 0) {
        leat_model_fail(m, LEAT_ESHAPE, "batches: the data have no rows");
        return NULL;
    }
    if (!o || o->size < 1) {
        leat_model_fail(m, LEAT_EARG, "batches: a batch of %lld rows", o ? (long long)o->size : 0);
        return NULL;
    }
    int64_t rows = data.shape.size[0], row = rows ? leat_shape_count(&data.shape) / rows : 0;
    int64_t most = o->in_order ? 0 : o->size < rows ? o->size : rows;
    leat_batches *b = leat_arena_zalloc(&m->arena, sizeof *b);
    int64_t *order = leat_arena_alloc(&m->arena, (size_t)rows * sizeof *order);
    leat_real *copies = leat_arena_alloc(&m->arena, (size_t)(most * row) * sizeof *copies);
    if (!b || !order || !copies) {
        leat_model_fail(m, LEAT_ENOMEM, "batches: out of memory for %lld rows", (long long)rows);
        return NULL;
    }
    for (int64_t i = 0; i < rows; i++)
        order[i] = i;
    *b = (leat_batches){ .opts = *o, .data = data, .rows = rows, .row = row, .order = order, .copies = copies };
    return b;
}

int64_t leat_batches_per_epoch(const leat_batches *b)
{
    if (!b)
        return 0;
    int64_t full = b->rows / b->opts.size;
    return full + (b->rows % b->opts.size && !b->opts.drop_last);
}

static void shuffle(leat_batches *b)
{
    leat_rng rng = leat_rng_new(b->opts.seed, b->opts.stream + b->epoch);
    leat_rng_permutation(&rng, b->order, b->rows);
}

void leat_batches_seek(leat_batches *b, int64_t epoch, int64_t batch)
{
    if (!b)
        return;
    b->epoch = (uint64_t)epoch;
    b->at = batch <= b->rows / b->opts.size ? batch * b->opts.size : b->rows;
    b->count = 0;
    if (b->at > 0 && !b->opts.in_order) /* at 0 it is done with the first batch */
        shuffle(b);
}

bool leat_batches_next(leat_batches *b, leat_tensor *batch)
{
    if (!b)
        return false;
    int64_t left = b->rows - b->at;
    b->count = left < b->opts.size ? left : b->opts.size;
    if (left == 0 || (b->opts.drop_last && b->count < b->opts.size)) {
        b->epoch++;
        b->at = b->count = 0;
        return false;
    }
    if (b->at == 0 && !b->opts.in_order)
        shuffle(b);
    *batch = b->data;
    batch->shape.size[0] = b->count;
    if (b->opts.in_order) {
        batch->data = b->data.data + b->at * b->row;
    } else {
        batch->data = b->copies;
        for (int64_t i = 0; i < b->count && b->row; i++)
            memcpy(b->copies + i * b->row, b->data.data + b->order[b->at + i] * b->row,
                   (size_t)b->row * sizeof *b->copies);
    }
    b->at += b->count;
    return true;
}

leat_index leat_batches_rows(const leat_batches *b)
{
    if (!b)
        return (leat_index){ 0 };
    return (leat_index){ b->order + b->at - b->count, b->count };
}
