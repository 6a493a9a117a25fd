/*
 * Random numbers: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011).
 *
 * The key is the seed. The counter is (position / 2, stream), low words first; each block of four words is two numbers,
 * the even position's and the odd one's. Everything else here is made of these 64 bits, one number for one draw, so
 * that a fill gives what drawing one by one gives.
 */
#include "kernels/elementary.h"
#include "kernels/philox.h"
#include "tensor.h"

#include <math.h>

typedef struct block {
    uint64_t number[2];
} block;

static block philox(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    philox_rounds(seed, 1, &c0, &c1, &c2, &c3);
    return (block){ { c0 | (uint64_t)c1 << 32, c2 | (uint64_t)c3 << 32 } };
}

/* In (0, 1), symmetric about 1/2: the odd multiples of 2^-53. Both u and 1 - u are exact. */
static double to_uniform(uint64_t bits)
{
    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

static double to_normal(uint64_t bits)
{
    return leat_normal_quantile64(to_uniform(bits));
}

/* log(u / (1 - u)) = -log(1 + (1 - 2u) / u) for u <= 1/2, which stays exact where the ratio is near 1. */
static double to_logistic(uint64_t bits)
{
    double u = to_uniform(bits), v = u < 0.5 ? u : 1 - u;
    double x = leat_log1p64((1 - 2 * v) / v);
    return u < 0.5 ? -x : x;
}

leat_rng leat_rng_new(uint64_t seed, uint64_t stream)
{
    return (leat_rng){ .seed = seed, .stream = stream };
}

uint64_t leat_rng_next(leat_rng *r)
{
    uint64_t n = r->position++;
    return philox(r->seed, r->stream, n / 2).number[n % 2];
}

double leat_rng_uniform(leat_rng *r)
{
    return to_uniform(leat_rng_next(r));
}

double leat_rng_normal(leat_rng *r)
{
    return to_normal(leat_rng_next(r));
}

/* Rejects the incomplete last run of n, so that each remainder has the same number of preimages. */
int64_t leat_rng_below(leat_rng *r, int64_t n)
{
    uint64_t range = (uint64_t)n;
    uint64_t excess = (UINT64_MAX % range + 1) % range; /* 2^64 mod n */
    uint64_t bits;
    do
        bits = leat_rng_next(r);
    while (bits > UINT64_MAX - excess);
    return (int64_t)(bits % range);
}

void leat_rng_permutation(leat_rng *r, int64_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = leat_rng_below(r, i + 1);
        int64_t swapped = out[i];
        out[i] = out[j];
        out[j] = swapped;
    }
}

#define CHUNK 256

/* At most CHUNK numbers; says how many. */
static int64_t draw(leat_rng *r, uint64_t bits[CHUNK], int64_t wanted)
{
    int64_t n = wanted < CHUNK ? wanted : CHUNK, i = 0;
    if (i < n && r->position % 2)
        bits[i++] = leat_rng_next(r);
    for (; i + 2 <= n; i += 2, r->position += 2) {
        block b = philox(r->seed, r->stream, r->position / 2);
        bits[i] = b.number[0];
        bits[i + 1] = b.number[1];
    }
    if (i < n)
        bits[i] = leat_rng_next(r);
    return n;
}

void leat_rng_fill_uniform(leat_rng *r, leat_real *out, int64_t n, double low, double high)
{
    uint64_t bits[CHUNK];
    for (int64_t done = 0, count; done < n; done += count) {
        count = draw(r, bits, n - done);
        for (int64_t i = 0; i < count; i++)
            out[done + i] = (leat_real)fma(high - low, to_uniform(bits[i]), low);
    }
}

void leat_rng_fill_normal(leat_rng *r, leat_real *out, int64_t n)
{
    uint64_t bits[CHUNK];
    for (int64_t done = 0, count; done < n; done += count) {
        count = draw(r, bits, n - done);
        for (int64_t i = 0; i < count; i++)
            out[done + i] = (leat_real)to_normal(bits[i]);
    }
}

void leat_rng_fill_logistic(leat_rng *r, leat_real *out, int64_t n)
{
    uint64_t bits[CHUNK];
    for (int64_t done = 0, count; done < n; done += count) {
        count = draw(r, bits, n - done);
        for (int64_t i = 0; i < count; i++)
            out[done + i] = (leat_real)to_logistic(bits[i]);
    }
}
