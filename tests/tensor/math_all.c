/*
 * Every float through the functions of math_reference.h (in the double library: 10^8 numbers each), and 10^8 pairs
 * through pow, against libm in the next wider type. Prints the largest error of each in units in the last place and
 * where it is. Fails if one is over its limit, or if the instruction sets of this machine do not agree bit for bit.
 * Takes an hour.
 */
#include <stdio.h>

#include "math_reference.h"

#define BLOCK 4096

#ifdef LEAT_DOUBLE
#define BLOCKS 24415 /* 10^8 / BLOCK */

static void inputs(uint64_t block, leat_real *x)
{
    leat_rng rng = leat_rng_new(7, block);
    for (uint64_t i = 0; i < BLOCK; i++)
        x[i] = random_point(leat_rng_next(&rng), i);
}
#else
#define BLOCKS (((uint64_t)1 << 32) / BLOCK)

static void inputs(uint64_t block, leat_real *x)
{
    for (uint64_t i = 0; i < BLOCK; i++) {
        uint32_t bits = (uint32_t)(block * BLOCK + i);
        memcpy(&x[i], &bits, sizeof bits);
    }
}
#endif

static int check(const struct reference *r)
{
    leat_real x[BLOCK], y[BLOCK], other[BLOCK];
    double worst = 0;
    leat_real at = 0;
    int disagree = 0;
    const leat_kernels *k = leat_kernels_get();
    const leat_constants none = { 0, 0 };
    for (uint64_t block = 0; block < BLOCKS; block++) {
        inputs(block, x);
        k->unary[r->op].forward(x, y, BLOCK, none);
        for (int i = 0; i < BLOCK; i++) {
            wide exact = r->function((wide)x[i]);
            if (y[i] == (leat_real)exact)
                continue; /* rounded correctly, as most are: at most half a unit off */
            double off = real_units_off(y[i], exact);
            if (off > worst) {
                worst = off;
                at = x[i];
            }
        }
        for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
            if (*set == k)
                continue;
            (*set)->unary[r->op].forward(x, other, BLOCK, none);
            for (int i = 0; i < BLOCK; i++)
                disagree += !same_real(y[i], other[i]);
        }
    }
    printf("%-12s %.4f ulp at %a%s\n", r->name, worst, (double)at,
           disagree ? ", and the instruction sets disagree" : "");
    fflush(stdout);
    return worst <= r->limit && !disagree;
}

static int check_powers(void)
{
    static leat_real x[BLOCK], y[BLOCK], z[BLOCK], other[BLOCK];
    double worst = 0;
    leat_real at[2] = { 0, 0 };
    int disagree = 0;
    leat_rng rng = leat_rng_new(8, 0);
    for (int block = 0; block < 24415; block++) {
        for (uint64_t i = 0; i < BLOCK; i++)
            random_powers(&rng, i, &x[i], &y[i]);
        leat_kernels_get()->binary[LEAT_BINARY_pow].forward(x, 1, y, 1, z, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            double off = real_units_off(z[i], wide_pow((wide)x[i], (wide)y[i]));
            if (off > worst)
                worst = off, at[0] = x[i], at[1] = y[i];
        }
        for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
            (*set)->binary[LEAT_BINARY_pow].forward(x, 1, y, 1, other, BLOCK);
            for (int i = 0; i < BLOCK; i++)
                disagree += !same_real(z[i], other[i]);
        }
    }
    printf("%-12s %.4f ulp at %a, %a%s\n", "pow", worst, (double)at[0], (double)at[1],
           disagree ? ", and the instruction sets disagree" : "");
    return worst <= 2 && !disagree;
}

int main(void)
{
    int good = 1;
    for (int i = 0; i < REFERENCE_COUNT; i++)
        good &= check(&references[i]);
    good &= check_powers();
    return good ? 0 : 1;
}
