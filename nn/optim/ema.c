/* The exponential moving average of all parameters: one array, laid out like the parameters' own. */
#include "optim.h"

#include <math.h>

struct leat_ema {
    leat_model *model;
    leat_real *average;
    leat_real rest; /* 1 - decay */
    bool swapped;   /* the average is in the parameters' place, they are in its */
};

static leat_code check_decay(leat_model *m, double decay)
{
    return decay >= 0 && decay <= 1 ? LEAT_OK
                                    : leat_model_fail(m, LEAT_EARG, "ema: decay is %g, and must be in 0 .. 1", decay);
}

leat_ema *leat_ema_new(leat_model *m, double decay)
{
    if (leat_model_seal(m) || check_decay(m, decay))
        return NULL;
    leat_ema *e = leat_arena_alloc(&m->arena, sizeof *e);
    leat_real *average = leat_arena_alloc(&m->arena, (size_t)m->flat * sizeof *average);
    if (!e || !average) {
        leat_model_fail(m, LEAT_ENOMEM, "ema: out of memory for %lld parameters", (long long)leat_param_count(m));
        return NULL;
    }
    *e = (leat_ema){ .model = m, .average = average, .rest = (leat_real)(1 - decay) };
    for (int64_t i = 0; i < m->flat; i++)
        average[i] = m->values[i];
    return e;
}

void leat_ema_set_decay(leat_ema *e, double decay)
{
    if (e && !check_decay(e->model, decay))
        e->rest = (leat_real)(1 - decay);
}

static void update_range(void *arg, int64_t begin, int64_t end)
{
    const leat_ema *e = arg;
    leat_step_constants k = { .rest1 = e->rest };
    leat_kernels_get()->step[LEAT_STEP_ema](e->average + begin, e->model->values + begin, NULL, end - begin, &k);
}

void leat_ema_update(leat_ema *e)
{
    if (!e)
        return; /* its model has failed already */
    if (e->swapped)
        leat_model_fail(e->model, LEAT_ESTATE, "ema: an update while the average is in the parameters' place");
    else
        leat_parallel_for(e->model->pool, e->model->flat, LEAT_OPTIM_GRAIN, update_range, e);
}

static void swap_range(void *arg, int64_t begin, int64_t end)
{
    const leat_ema *e = arg;
    for (int64_t i = begin; i < end; i++) {
        leat_real value = e->model->values[i];
        e->model->values[i] = e->average[i];
        e->average[i] = value;
    }
}

void leat_ema_swap(leat_ema *e)
{
    if (!e)
        return;
    e->swapped = !e->swapped;
    leat_parallel_for(e->model->pool, e->model->flat, LEAT_OPTIM_GRAIN, swap_range, e);
}

leat_tensor leat_ema_values(const leat_ema *e)
{
    return e ? (leat_tensor){ e->average, LEAT_SHAPE(e->model->flat) } : (leat_tensor){ 0 };
}
