/* Weights and batches from formulas, the same bits in C and in tests/fixtures/flows/make.py: a training run that no
 * file has to hold. Only sums, products, quotients and square roots of doubles, in the same order there and here. */
#ifndef LEAT_FLOWS_FORMULAS_H
#define LEAT_FLOWS_FORMULAS_H

#include <math.h>
#include <stdint.h>

#include "../../flows/flows.h"

/* In [0, 1), 24 bits: splitmix64 of a counter. */
static inline double formula_uniform(uint64_t stream, uint64_t i)
{
    uint64_t h = ((stream << 32) + i + 1) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9u;
    h = (h ^ h >> 27) * 0x94D049BB133111EBu;
    return (double)((h ^ h >> 31) >> 40) * 0x1p-24;
}

/* U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as PyTorch's linear layers start. */
static inline void formula_weights(leat_param *p, uint64_t number, int64_t fan_in)
{
    double bound = 1 / sqrt((double)fan_in);
    int64_t n = leat_shape_count(&p->leaf.shape);
    for (int64_t i = 0; i < n; i++)
        p->leaf.value[i] = (leat_real)((2 * formula_uniform(number, (uint64_t)i) - 1) * bound);
}

/* Point i of two half circles, walked along by the rational parametrisation, with some noise. */
static inline void formula_moon(uint64_t stream, uint64_t i, leat_real point[2])
{
    double t = 2 * formula_uniform(stream, 8 * i) - 1;
    double across = 2 * t / (1 + t * t), up = (1 - t * t) / (1 + t * t);
    double at[2] = { i % 2 ? 1 - across : across, i % 2 ? 0.5 - up : up };
    for (uint64_t k = 0; k < 2; k++) {
        double noise = formula_uniform(stream, 8 * i + 2 + k) + formula_uniform(stream, 8 * i + 4 + k) - 1;
        point[k] = (leat_real)(at[k] + 0.125 * noise);
    }
}

static inline void formula_batch(uint64_t stream, int64_t rows, leat_real *points)
{
    for (int64_t i = 0; i < rows; i++)
        formula_moon(stream, (uint64_t)i, points + 2 * i);
}

#endif
