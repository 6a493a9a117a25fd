/* Usage: million [STEPS], a million if nothing else is said. A small model trained so long: memory is what it was after
 * the first thousand steps, nothing is allocated after them, and the loss is finite and lower than at first. */
#include "../../flows/flows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROWS = 16, WARM = 1000 };

static long allocations;

static void *count_allocate(void *user, size_t bytes)
{
    (void)user;
    allocations++;
    return malloc(bytes);
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

/* The process's memory in pages; 0 where it cannot be told. */
static long resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages;
}

/* Rows on a parabola; another batch at each step. */
static void next_batch(leat_rng *rng, leat_real *x)
{
    leat_rng_fill_normal(rng, x, 2 * ROWS);
    for (int i = 0; i < ROWS; i++)
        x[2 * i + 1] = x[2 * i] * x[2 * i] + x[2 * i + 1] / 4;
}

int main(int argc, char **argv)
{
    static const leat_allocator counting = { count_allocate, release, NULL };
    long steps = argc > 1 ? atol(argv[1]) : 1000000, warm_pages = 0, warm_allocations = 0;
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1, .threads = 1, .allocator = &counting });
    leat_flow *f = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 2, .hidden = { 8 } });
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-3 });
    leat_tape *t = leat_model_tape(m, NULL);
    leat_rng rng = leat_rng_new(1, 5);
    leat_real x[2 * ROWS];
    double first = 0, last = 0;
    for (long step = 0; step < steps && !leat_model_status(m)->code; step++) {
        next_batch(&rng, x);
        leat_tape_reset(t);
        leat_var loss =
            leat_neg(leat_mean(leat_flow_log_prob(f, leat_const(t, (leat_tensor){ x, LEAT_SHAPE(ROWS, 2) }))));
        double value = leat_item(loss);
        first += step < WARM ? value / WARM : 0;
        last += step >= steps - WARM ? value / WARM : 0;
        if (leat_backward(loss) || leat_optim_step(adam))
            break;
        if (step == WARM) {
            warm_pages = resident();
            warm_allocations = allocations;
        }
    }
    long pages = resident() - warm_pages, more = allocations - warm_allocations;
    printf(
        "%ld steps: %ld pages and %ld allocations more than after %d; mean loss %.3f at first, %.3f in the end%s%s\n",
        steps, pages, more, WARM, first, last, leat_model_status(m)->code ? ": " : "", leat_model_status(m)->message);
    /* The kernel counts pages in batches of 64; a byte a step would be 244 of them. */
    bool ok =
        !leat_model_status(m)->code && steps > 2 * WARM && pages <= 64 && more == 0 && isfinite(last) && last < first;
    leat_model_free(m);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
