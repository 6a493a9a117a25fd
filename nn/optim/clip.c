/*
 * The norm of all gradients and scaling them down to a given one; clipping of every number.
 *
 * The sum of squares of every run is made of blocks of 4096 numbers, 16 interleaved double accumulators each, folded
 * pairwise; the blocks' sums are added in order. So threads can share the blocks and the bits stay.
 */
#include "optim.h"

#include <math.h>

/* ---- by norm ----------------------------------------------------------------------------------------------------- */

enum { LANES = 16 };

static double block_squares(const leat_real *x, int64_t n)
{
    double lane[LANES] = { 0 };
    for (int64_t i = 0; i < n; i += LANES) /* runs are multiples of 16 long */
        for (int j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j] * (double)x[i + j];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            lane[j] += lane[j + width];
    return lane[0];
}

typedef struct norm_work {
    const leat_real *grads;
    int64_t n;
    double *block_sums;
} norm_work;

static void norm_range(void *arg, int64_t begin, int64_t end)
{
    const norm_work *w = arg;
    for (int64_t b = begin; b < end; b++) {
        int64_t at = b * LEAT_NORM_BLOCK, left = w->n - at;
        w->block_sums[b] = block_squares(w->grads + at, left < LEAT_NORM_BLOCK ? left : LEAT_NORM_BLOCK);
    }
}

static double run_squares(const leat_model *m, const leat_run *run)
{
    norm_work w = { m->grads + run->begin, run->end - run->begin, m->block_sums };
    int64_t blocks = (w.n + LEAT_NORM_BLOCK - 1) / LEAT_NORM_BLOCK;
    leat_parallel_for(m->pool, blocks, 4, norm_range, &w);
    double sum = 0;
    for (int64_t b = 0; b < blocks; b++)
        sum += m->block_sums[b];
    return sum;
}

typedef struct scale_work {
    leat_real *grads;
    leat_real factor;
} scale_work;

static void scale_range(void *arg, int64_t begin, int64_t end)
{
    const scale_work *w = arg;
    for (int64_t i = begin; i < end; i++)
        w->grads[i] *= w->factor;
}

double leat_clip_grad_norm(leat_model *m, double most)
{
    if (leat_model_seal(m))
        return (double)NAN;
    leat_run run;
    double squares = 0;
    for (leat_param *p = m->params; leat_run_find(p, NULL, &run); p = run.after)
        squares += run_squares(m, &run);
    double norm = sqrt(squares);
    if (!isfinite(norm) || !(norm > most) || most < 0)
        return norm; /* what is not finite is the optimiser's to refuse */
    leat_real factor = (leat_real)(most / (norm + 1e-6));
    for (leat_param *p = m->params; leat_run_find(p, NULL, &run); p = run.after) {
        scale_work w = { m->grads + run.begin, factor };
        leat_parallel_for(m->pool, run.end - run.begin, LEAT_OPTIM_GRAIN, scale_range, &w);
    }
    return norm;
}

/* ---- by value ---------------------------------------------------------------------------------------------------- */

typedef struct clip_work {
    leat_real *grads;
    leat_real most;
} clip_work;

/* NaN stays: what is not a number is the optimiser's to refuse. */
static void clip_range(void *arg, int64_t begin, int64_t end)
{
    const clip_work *w = arg;
    for (int64_t i = begin; i < end; i++) {
        leat_real g = w->grads[i] > w->most ? w->most : w->grads[i];
        w->grads[i] = g < -w->most ? -w->most : g;
    }
}

void leat_clip_grad_value(leat_model *m, double most)
{
    if (leat_model_seal(m))
        return;
    if (!(most >= 0)) {
        leat_model_fail(m, LEAT_EARG, "leat_clip_grad_value: a bound of %g", most);
        return;
    }
    leat_run run;
    for (leat_param *p = m->params; leat_run_find(p, NULL, &run); p = run.after) {
        clip_work w = { m->grads + run.begin, (leat_real)most };
        leat_parallel_for(m->pool, run.end - run.begin, LEAT_OPTIM_GRAIN, clip_range, &w);
    }
}
