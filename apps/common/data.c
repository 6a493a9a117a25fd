/* The data sets that programs train on: two moons, and files. */
#include "data.h"
#include "csv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const double pi = 3.14159265358979323846;

leat_code app_data_moons_in_order(int64_t n, double noise, leat_rng *r, leat_arena *a, leat_tensor *out, leat_status *s)
{
    int64_t outer = n / 2;

    *out = (leat_tensor){ 0 };
    if (n < 1 || !(noise >= 0) || isinf(noise)) {
        return leat_fail(s, LEAT_EARG,
                         "two moons need at least 1 point and a finite noise of at least 0, not %lld and %g",
                         (long long)n, noise);
    }
    *out = leat_tensor_new(a, LEAT_SHAPE(n, 2), s);
    if (!out->data) {
        return LEAT_ENOMEM;
    }
    for (int64_t i = 0; i < n; i++) {
        bool upper = i < outer;
        int64_t k = upper ? i : i - outer, last = (upper ? outer : n - outer) - 1;
        double t = k == last && last > 0 ? pi : (double)k * (pi / (double)(last > 0 ? last : 1));
        double x = upper ? cos(t) : 1 - cos(t), y = upper ? sin(t) : 0.5 - sin(t);

        x += noise * leat_rng_normal(r);
        y += noise * leat_rng_normal(r);
        out->data[2 * i] = (leat_real)x;
        out->data[2 * i + 1] = (leat_real)y;
    }
    return LEAT_OK;
}

leat_code app_data_moons(int64_t n, double noise, leat_rng *r, leat_arena *a, leat_tensor *out, leat_status *s)
{
    leat_arena scratch;
    leat_tensor ordered;
    int64_t *row;
    leat_code code;

    *out = (leat_tensor){ 0 };
    leat_arena_init(&scratch, a->allocator);
    code = app_data_moons_in_order(n, noise, r, &scratch, &ordered, s);
    if (code == LEAT_OK) {
        row = leat_arena_alloc(&scratch, (size_t)n * sizeof *row);
        *out = leat_tensor_new(a, ordered.shape, s);
        if (row && out->data) {
            leat_rng_permutation(r, row, n);
            for (int64_t i = 0; i < n; i++) {
                memcpy(out->data + 2 * i, ordered.data + 2 * row[i], 2 * sizeof(leat_real));
            }
        } else {
            *out = (leat_tensor){ 0 };
            code = leat_fail(s, LEAT_ENOMEM, "out of memory for %lld points of two moons", (long long)n);
        }
    }
    leat_arena_free(&scratch);
    return code;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *suffix)
{
    size_t size = strlen(path), tail = strlen(suffix);

    return size > tail && strcasecmp(path + size - tail, suffix) == 0;
}

static leat_code check_values(const char *path, const leat_tensor *t, leat_status *s)
{
    int64_t rows = t->shape.size[0], columns = t->shape.size[1];

    for (int64_t i = 0; i < rows * columns; i++) {
        if (!isfinite(t->data[i])) {
            return leat_fail(s, LEAT_ENONFINITE, "%s: row %lld, column %lld: %s is not a finite number", path,
                             (long long)(i / columns + 1), (long long)(i % columns + 1),
                             isnan(t->data[i]) ? "nan"
                             : t->data[i] > 0  ? "inf"
                                               : "-inf");
        }
    }
    return LEAT_OK;
}

static leat_code load(const char *path, leat_arena *a, leat_tensor *t, leat_status *s)
{
    char text[LEAT_SHAPE_TEXT];
    leat_code code;

    if (ends_in(path, ".npy")) {
        code = leat_npy_read(path, a, t, s);
    } else if (ends_in(path, ".csv")) {
        app_csv table;

        code = app_csv_read(path, a, &table, s);
        *t = table.values;
    } else {
        return leat_fail(s, LEAT_EARG, "%s: its name says neither .npy nor .csv, the files that are read", path);
    }
    if (code != LEAT_OK) {
        return code;
    }
    if (t->shape.rank == 1) {
        t->shape = LEAT_SHAPE(t->shape.size[0], 1);
    }
    if (t->shape.rank != 2 || t->shape.size[0] < 1 || t->shape.size[1] < 1) {
        return leat_fail(s, LEAT_ESHAPE, "%s: its shape is %s, where rows and columns are needed, at least one of each",
                         path, leat_shape_print(&t->shape, text));
    }
    return check_values(path, t, s);
}

leat_code app_data_load(const char *path, leat_arena *a, leat_tensor *out, leat_status *s)
{
    leat_tensor t = { 0 };
    leat_code code = load(path, a, &t, s);

    *out = code == LEAT_OK ? t : (leat_tensor){ 0 };
    return code;
}
