/* Batches: every row once, the last batch, order and its reproducibility. */
#include "nn_helpers.h"

/* Data whose row r is r, r + 0.5. */
static leat_tensor numbered(leat_arena *a, int64_t rows)
{
    leat_tensor t = leat_tensor_new(a, LEAT_SHAPE(rows, 2), NULL);
    for (int64_t r = 0; r < rows; r++) {
        t.data[2 * r] = (leat_real)r;
        t.data[2 * r + 1] = (leat_real)r + (leat_real)0.5;
    }
    return t;
}

enum { MOST_ROWS = 100 };

/* One epoch; writes the rows' order, checks each batch, returns how many rows came. */
static int64_t run_epoch(leat_batches *b, int64_t size, int64_t *order)
{
    int64_t seen = 0, batches = 0;
    leat_tensor batch;
    while (leat_batches_next(b, &batch)) {
        leat_index rows = leat_batches_rows(b);
        cr_assert_eq(batch.shape.rank, 2);
        cr_assert_eq(batch.shape.size[1], 2);
        cr_assert_eq(rows.count, batch.shape.size[0]);
        cr_assert(rows.count > 0 && rows.count <= size);
        for (int64_t i = 0; i < rows.count; i++) {
            cr_assert(batch.data[2 * i] == (leat_real)rows.at[i]);
            cr_assert(batch.data[2 * i + 1] == (leat_real)rows.at[i] + (leat_real)0.5);
            order[seen++] = rows.at[i];
        }
        batches++;
    }
    cr_assert_eq(batches, leat_batches_per_epoch(b));
    cr_assert_eq(leat_batches_rows(b).count, 0);
    return seen;
}

static void check_all_once(const int64_t *order, int64_t rows)
{
    bool seen[MOST_ROWS] = { false };
    for (int64_t i = 0; i < rows; i++) {
        cr_assert(order[i] >= 0 && order[i] < rows && !seen[order[i]]);
        seen[order[i]] = true;
    }
}

static const struct {
    int64_t rows, size, per_epoch, dropped; /* dropped: rows that drop_last leaves out */
} cases[] = {
    { 10, 3, 4, 1 },    { 9, 3, 3, 0 }, { 1, 1, 1, 0 }, { 100, 100, 1, 0 },
    { 100, 1, 100, 0 }, { 5, 8, 1, 5 }, { 0, 4, 0, 0 },
};

Test(batches, each_row_comes_once_an_epoch)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t order[MOST_ROWS], size = cases[k].size;
        leat_tensor data = numbered(&a, cases[k].rows);
        leat_model *m = leat_model_new(NULL);
        leat_batches *shuffled = leat_batches_new(m, data, &(leat_batches_opts){ .size = size });
        leat_batches *in_order = leat_batches_new(m, data, &(leat_batches_opts){ .size = size, .in_order = true });
        leat_batches *full = leat_batches_new(m, data, &(leat_batches_opts){ .size = size, .drop_last = true });
        cr_assert_eq(leat_batches_per_epoch(shuffled), cases[k].per_epoch);
        cr_assert_eq(leat_batches_per_epoch(full), cases[k].per_epoch - (cases[k].dropped != 0));
        for (int epoch = 0; epoch < 3; epoch++) {
            cr_assert_eq(run_epoch(shuffled, size, order), cases[k].rows);
            check_all_once(order, cases[k].rows);
            cr_assert_eq(run_epoch(in_order, size, order), cases[k].rows);
            for (int64_t i = 0; i < cases[k].rows; i++)
                cr_assert_eq(order[i], i);
            cr_assert_eq(run_epoch(full, size, order), cases[k].rows - cases[k].dropped);
        }
        leat_model_free(m);
    }
    leat_arena_free(&a);
}

Test(batches, the_order_is_a_permutation_from_seed_and_stream)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_model *m = leat_model_new(NULL);
    leat_tensor data = numbered(&a, 50);
    leat_batches *b = leat_batches_new(m, data, &(leat_batches_opts){ .size = 7, .seed = 5, .stream = 100 });
    int64_t got[50], want[50], first[50];
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        leat_rng rng = leat_rng_new(5, 100 + epoch);
        leat_rng_permutation(&rng, want, 50);
        run_epoch(b, 7, got);
        cr_assert_eq(memcmp(got, want, sizeof got), 0);
        if (epoch == 0)
            memcpy(first, got, sizeof first);
        else
            cr_assert_neq(memcmp(got, first, sizeof got), 0);
    }
    leat_arena_free(&a);
    leat_model_free(m);
}

/* From any batch of any epoch on, the batches are those of a run that came there by itself. */
Test(batches, seek)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_model *m = leat_model_new(NULL);
    for (int k = 0; k < 3; k++) {
        leat_batches_opts o = { .size = 7, .seed = 5, .stream = 100, .in_order = k == 1, .drop_last = k == 2 };
        leat_tensor data = numbered(&a, 50), batch, other;
        int64_t steps = k == 2 ? 7 : 8;
        for (int64_t at = 0; at <= 2 * steps + 1; at++) {
            leat_batches *walked = leat_batches_new(m, data, &o), *sought = leat_batches_new(m, data, &o);
            for (int64_t i = 0; i < at; i++)
                leat_batches_next(walked, &batch);
            leat_batches_next(sought, &batch);
            leat_batches_seek(sought, at / (steps + 1), at % (steps + 1));
            cr_assert_eq(leat_batches_rows(sought).count, 0);
            for (int64_t i = 0; i < 2 * steps; i++) {
                bool more = leat_batches_next(walked, &batch);
                cr_assert_eq(leat_batches_next(sought, &other), more);
                leat_index rows = leat_batches_rows(walked), same = leat_batches_rows(sought);
                cr_assert_eq(rows.count, same.count);
                cr_assert(rows.count == 0 || memcmp(rows.at, same.at, (size_t)rows.count * sizeof *rows.at) == 0);
            }
        }
    }
    leat_batches_seek(NULL, 0, 0);
    leat_model_free(m);
    leat_arena_free(&a);
}

Test(batches, rows_may_have_any_shape)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_model *m = leat_model_new(NULL);
    leat_tensor batch, flat = make_data(&a, LEAT_SHAPE(6), 1), deep = make_data(&a, LEAT_SHAPE(6, 2, 3), 1);
    leat_tensor hollow = leat_tensor_new(&a, LEAT_SHAPE(6, 0), NULL);
    leat_batches *b = leat_batches_new(m, flat, &(leat_batches_opts){ .size = 4 });
    cr_assert(leat_batches_next(b, &batch));
    leat_shape four = LEAT_SHAPE(4);
    cr_assert(leat_shape_equal(&batch.shape, &four));
    b = leat_batches_new(m, deep, &(leat_batches_opts){ .size = 4 });
    cr_assert(leat_batches_next(b, &batch) && leat_batches_next(b, &batch));
    leat_shape rest = LEAT_SHAPE(2, 2, 3);
    cr_assert(leat_shape_equal(&batch.shape, &rest));
    leat_index rows = leat_batches_rows(b);
    check_bits(batch.data + 6, deep.data + 6 * rows.at[1], 6, "second row");
    b = leat_batches_new(m, hollow, &(leat_batches_opts){ .size = 4 });
    cr_assert(leat_batches_next(b, &batch));
    cr_assert_eq(leat_batches_rows(b).count, 4);
    leat_arena_free(&a);
    leat_model_free(m);
}

Test(batches, what_makes_no_sense)
{
    leat_real numbers[4] = { 0 };
    leat_tensor data = { numbers, LEAT_SHAPE(4) }, scalar = { numbers, leat_shape_of(0, NULL) };
    leat_model *m = leat_model_new(NULL);
    leat_tensor batch;
    cr_assert_null(leat_batches_new(m, data, &(leat_batches_opts){ .size = 0 }));
    CHECK_FAILED(m, LEAT_EARG, "a batch of 0 rows");
    leat_model_free(m);
    m = leat_model_new(NULL);
    cr_assert_null(leat_batches_new(m, scalar, &(leat_batches_opts){ .size = 2 }));
    CHECK_FAILED(m, LEAT_ESHAPE, "have no rows");
    leat_model_free(m);
    m = leat_model_new(NULL);
    data.shape = LEAT_SHAPE(INT64_MAX, 4);
    cr_assert_null(leat_batches_new(m, data, &(leat_batches_opts){ .size = 2 }));
    CHECK_FAILED(m, LEAT_ESHAPE, "have no rows");
    leat_model_free(m);
    cr_assert_not(leat_batches_next(NULL, &batch));
    cr_assert_eq(leat_batches_per_epoch(NULL), 0);
    cr_assert_eq(leat_batches_rows(NULL).count, 0);
}
