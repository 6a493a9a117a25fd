/*
 * What to know of data before a density is fitted to it.
 *
 * The values that many rows have are found with LEAT_FEW_VALUES counters (Misra and Gries, "Finding repeated elements",
 * 1982): a value takes a counter, and when all are taken, all are lowered by one. What at least one in
 * LEAT_FEW_VALUES + 1 rows has keeps its counter; a second pass counts exactly.
 */
#include "../tensor.h"

#include <math.h>

typedef struct counters {
    double value[LEAT_FEW_VALUES];
    int64_t rows[LEAT_FEW_VALUES];
    int count;
    bool more; /* there were other values */
} counters;

static int find(const counters *c, double x)
{
    for (int i = 0; i < c->count; i++)
        if (c->value[i] == x)
            return i;
    return -1;
}

static void lower(counters *c)
{
    int kept = 0;
    for (int i = 0; i < c->count; i++)
        if (c->rows[i] > 1) {
            c->value[kept] = c->value[i];
            c->rows[kept++] = c->rows[i] - 1;
        }
    c->count = kept;
}

static void count_value(counters *c, double x)
{
    int i = find(c, x);
    if (i >= 0) {
        c->rows[i]++;
    } else if (c->count < LEAT_FEW_VALUES) {
        c->value[c->count] = x;
        c->rows[c->count++] = 1;
    } else {
        c->more = true;
        lower(c);
    }
}

static void find_common(const double *x, int64_t rows, int64_t stride, leat_column *out)
{
    counters c = { .count = 0 };
    for (int64_t i = 0; i < rows; i++)
        count_value(&c, x[i * stride]);
    out->distinct = c.more ? LEAT_FEW_VALUES + 1 : c.count;
    for (int i = 0; c.more && i < c.count; i++)
        c.rows[i] = 0;
    for (int64_t i = 0; c.more && i < rows; i++) {
        int k = find(&c, x[i * stride]);
        if (k >= 0)
            c.rows[k]++;
    }
    for (int i = 0; i < c.count; i++) {
        bool most = c.rows[i] > out->common_rows || (c.rows[i] == out->common_rows && c.value[i] < out->common);
        if (most && c.rows[i] >= 10 && c.rows[i] >= (rows + 9) / 10) {
            out->common = c.value[i];
            out->common_rows = c.rows[i];
        }
    }
}

/* The mean is taken from the first value, so that numbers far from 0 lose nothing. */
static void find_moments(const double *x, int64_t rows, int64_t stride, leat_column *out)
{
    double first = x[0], sum = 0, squares = 0;
    out->min = out->max = first;
    for (int64_t i = 0; i < rows; i++) {
        double v = x[i * stride];
        out->min = v < out->min ? v : out->min;
        out->max = v > out->max ? v : out->max;
        sum += v - first;
    }
    out->mean = first + sum / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        double d = x[i * stride] - out->mean;
        squares = fma(d, d, squares);
    }
    out->sd = sqrt(squares / (double)rows);
}

leat_code leat_table_inspect(const leat_doubles *values, leat_column *columns, leat_status *s)
{
    int64_t rows = values->rows, width = values->columns;
    if (rows < 1 || width < 0 || !values->data)
        return leat_fail(s, LEAT_ESHAPE,
                         "data to inspect must be [rows, columns] with at least one row, not [%lld,%lld]",
                         (long long)rows, (long long)width);
    for (int64_t i = 0; i < rows * width; i++)
        if (!isfinite(values->data[i]))
            return leat_fail(s, LEAT_ENONFINITE, "row %lld, column %lld is not a finite number",
                             (long long)(i / width + 1), (long long)(i % width + 1));
    for (int64_t j = 0; j < width; j++) {
        leat_column *c = &columns[j];
        *c = (leat_column){ 0 };
        find_moments(values->data + j, rows, width, c);
        find_common(values->data + j, rows, width, c);
        c->constant = c->min == c->max;
        c->discrete = c->constant || c->common_rows > 0 || (c->distinct <= LEAT_FEW_VALUES && rows >= 10 * c->distinct);
    }
    return LEAT_OK;
}
