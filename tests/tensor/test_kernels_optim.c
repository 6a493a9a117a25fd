/* The optimisers' kernels: every instruction set has the reference's bits, and Adam is Adam. */
#include <criterion/criterion.h>

#include "../../tensor/kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { LARGEST = 70, GUARD = 8 }; /* more than four vectors of any set, and what stands around them */

/* p, g and the arrays that the optimiser remembers. */
enum { P, G, STATE, ARRAYS = STATE + LEAT_STEP_STATES };

typedef struct numbers {
    leat_real memory[ARRAYS][LARGEST + 2 * GUARD];
} numbers;

static leat_real real(double x)
{
    return (leat_real)x;
}

static numbers random_numbers(void)
{
    numbers x;
    for (uint64_t k = 0; k < ARRAYS; k++) {
        leat_rng rng = leat_rng_new(12, k);
        leat_rng_fill_normal(&rng, x.memory[k], LARGEST + 2 * GUARD);
        for (int i = 0; i < LARGEST + 2 * GUARD && k >= STATE; i++) /* a mean of squares may stand in any */
            x.memory[k][i] = real(fabs((double)x.memory[k][i]));
    }
    return x;
}

static void take_step(const leat_kernels *kernels, int step, numbers *x, int64_t n)
{
    const leat_step_constants k = { .lr = real(0.01),
                                    .weight_decay = real(0.1),
                                    .momentum = real(0.7),
                                    .eps = real(1e-8),
                                    .beta1 = real(0.9),
                                    .beta2 = real(0.999),
                                    .rest1 = real(0.1),
                                    .rest2 = real(0.001),
                                    .correction1 = real(10),
                                    .correction2 = real(31.6),
                                    .shrink = real(0.001) };
    leat_real *state[LEAT_STEP_STATES];
    for (int j = 0; j < LEAT_STEP_STATES; j++)
        state[j] = x->memory[STATE + j] + GUARD;
    kernels->step[step](x->memory[P] + GUARD, x->memory[G] + GUARD, state, n, &k);
}

static bool changed(const numbers *a, const numbers *b, int array, int i)
{
    return memcmp(&a->memory[array][i], &b->memory[array][i], sizeof(leat_real)) != 0;
}

/* Also: nothing is written but p and the arrays that the step remembers, and those are. */
Test(kernels_optim, every_set_has_the_reference_s_bits)
{
#define STATES(name, states) states,
    static const int states[] = { LEAT_STEP_LIST(STATES) };
    for (int step = 0; step < LEAT_STEP_COUNT; step++) {
        for (int64_t n = 0; n <= LARGEST; n++) {
            const numbers start = random_numbers();
            numbers want = start;
            take_step(&leat_kernels_ref, step, &want, n);
            for (int k = 0; k < ARRAYS; k++) {
                bool is_written = k == P || (k >= STATE && k < STATE + states[step]);
                for (int i = 0; i < LARGEST + 2 * GUARD; i++)
                    cr_assert_eq(changed(&start, &want, k, i), is_written && i >= GUARD && i < GUARD + n);
            }
            for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
                numbers got = start;
                take_step(*set, step, &got, n);
                cr_assert_eq(memcmp(&got, &want, sizeof got), 0, "%s, step %d, %d numbers", (*set)->isa, step, (int)n);
            }
        }
    }
}

/* Three steps against the textbook, in double: p 1, gradients 0.5, -0.25, 2. */
Test(kernels_optim, adam_is_adam)
{
    static const double gradients[] = { 0.5, -0.25, 2 };
    const double lr = 0.1, beta1 = 0.9, beta2 = 0.999, eps = 1e-3, decay = 0.01;
    const double tolerance = sizeof(leat_real) == 8 ? 1e-15 : 1e-6;
    double p = 1, m = 0, v = 0;
    leat_real rp = 1, rm = 0, rv = 0;
    for (int t = 1; t <= 3; t++) {
        double gradient = gradients[t - 1] + decay * p;
        double correction1 = 1 - pow(beta1, t), correction2 = 1 - pow(beta2, t);
        m = beta1 * m + (1 - beta1) * gradient;
        v = beta2 * v + (1 - beta2) * gradient * gradient;
        p -= lr * (m / correction1) / (sqrt(v / correction2) + eps);
        const leat_real rg = (leat_real)gradients[t - 1];
        const leat_step_constants k = { .lr = real(lr),
                                        .beta1 = real(beta1),
                                        .beta2 = real(beta2),
                                        .eps = real(eps),
                                        .weight_decay = real(decay),
                                        .rest1 = real(1 - beta1),
                                        .rest2 = real(1 - beta2),
                                        .correction1 = real(1 / correction1),
                                        .correction2 = real(1 / sqrt(correction2)) };
        leat_kernels_get()->step[LEAT_STEP_adam](&rp, &rg, (leat_real *[]){ &rm, &rv, NULL }, 1, &k);
        cr_assert_float_eq((double)rp, p, tolerance, "step %d: %.17g, not %.17g", t, (double)rp, p);
    }
}
