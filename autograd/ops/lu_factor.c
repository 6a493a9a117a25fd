/* Elimination in double, a row at a time: each step subtracts a multiple of one row from another. */
#include "lu_factor.h"

#include <math.h>
#include <string.h>

enum { THREAD_COST = 1 << 16 }; /* fewer multiply-adds are not worth another thread */

typedef struct each_job {
    int64_t count, parts, room;
    leat_each_fn *fn;
    void *arg;
    double *scratch;
} each_job;

static void each_range(void *arg, int64_t begin, int64_t end)
{
    const each_job *j = arg;
    for (int64_t part = begin; part < end; part++) {
        int64_t each = j->count / j->parts, more = j->count % j->parts;
        int64_t first = part * each + (part < more ? part : more), last = first + each + (part < more);
        for (int64_t i = first; i < last; i++)
            j->fn(j->arg, i, j->scratch + part * j->room);
    }
}

bool leat_call_each(leat_call *c, int64_t count, double cost, int64_t room, leat_each_fn *fn, void *arg)
{
    leat_pool *pool = leat_tape_pool(c->tape);
    double useful = 1 + cost * (double)count / THREAD_COST;
    each_job j = { .count = count, .parts = leat_pool_threads(pool), .room = (room + 7) / 8 * 8, .fn = fn, .arg = arg };
    if (count == 0)
        return true;
    if ((double)j.parts > useful)
        j.parts = (int64_t)useful;
    if (j.parts > count)
        j.parts = count;
    j.scratch = leat_call_scratch(c, (size_t)(j.parts * j.room) * sizeof(double));
    if (j.scratch)
        leat_parallel_for(pool, j.parts, 1, each_range, &j);
    return j.scratch != NULL;
}

void leat_triangle_solve(const leat_triangle *t, int64_t n, double *x, int64_t width, int64_t stride)
{
    const leat_kernels *kernels = leat_kernels_get();
    for (int64_t done = 0; done < n; done++) {
        int64_t i = t->lower ? done : n - 1 - done;
        double *row = x + i * stride;
        for (int64_t k = 0; k < done; k++) {
            int64_t j = t->lower ? k : n - 1 - k;
            kernels->subtract_scaled(row, t->a[i * t->row + j * t->col], x + j * stride, width);
        }
        double pivot = t->unit ? 1 : t->a[i * t->row + i * t->col];
        for (int64_t k = 0; k < width && !t->unit; k++)
            row[k] /= pivot;
    }
}

static void swap_rows(double *a, double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

int leat_lu(double *a, int64_t n, int64_t *order)
{
    int sign = 1;
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++) {
            if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
                best = i;
        }
        if (best != k) {
            int64_t kept = order[k];
            order[k] = order[best];
            order[best] = kept;
            swap_rows(a + k * n, a + best * n, n);
            sign = -sign;
        }
        for (int64_t i = k + 1; i < n; i++) {
            double *below = &a[i * n + k];
            *below = *below == 0 ? 0 : *below / a[k * n + k]; /* not 0 / 0 */
            leat_kernels_get()->subtract_scaled(below + 1, *below, &a[k * n + k + 1], n - 1 - k);
        }
    }
    return sign;
}

void leat_lu_inverse(const double *lu, const int64_t *order, int64_t n, double *x)
{
    memset(x, 0, (size_t)(n * n) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i * n + order[i]] = 1;
    leat_triangle_solve(&(leat_triangle){ lu, n, 1, true, true }, n, x, n, n);
    leat_triangle_solve(&(leat_triangle){ lu, n, 1, false, false }, n, x, n, n);
}
