/*
 * Random numbers: Philox against a second copy of it that meets the published vectors, and the statistics of a million
 * draws. The seeds are fixed; a bound of 4.5 standard deviations fails one seed in 150 000.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../tensor/kernels/elementary.h"
#include "../../tensor/tensor.h"

#define DRAWS      1000000
#define DEVIATIONS 4.5

/* Philox 4x32-10 as the paper writes it. */
static void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k[2] = { key[0], key[1] };
    memcpy(out, counter, 4 * sizeof *out);
    for (int round = 0; round < 10; round++) {
        uint64_t left = 0xD2511F53ULL * out[0], right = 0xCD9E8D57ULL * out[2];
        uint32_t next[4] = { (uint32_t)(right >> 32) ^ out[1] ^ k[0], (uint32_t)right,
                             (uint32_t)(left >> 32) ^ out[3] ^ k[1], (uint32_t)left };
        memcpy(out, next, sizeof next);
        k[0] += 0x9E3779B9;
        k[1] += 0xBB67AE85;
    }
}

Test(rng, philox_known_answers)
{
    static const struct {
        uint32_t key[2], counter[4], out[4];
    } known[] = {
        { { 0, 0 }, { 0, 0, 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0xa4093822, 0x299f31d0 },
          { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        philox(known[i].key, known[i].counter, out);
        cr_assert_eq(memcmp(out, known[i].out, sizeof out), 0, "vector %zu", i);
    }
    leat_rng r = leat_rng_new(0, 0);
    cr_assert_eq(leat_rng_next(&r), 0xe169c58d6627e8d5);
    cr_assert_eq(leat_rng_next(&r), 0x9b00dbd8bc57ac4c);
}

Test(rng, numbers_are_philox_of_seed_stream_and_position)
{
    leat_rng pick = leat_rng_new(5, 5);
    for (int i = 0; i < 1000; i++) {
        leat_rng r = leat_rng_new(leat_rng_next(&pick), leat_rng_next(&pick));
        r.position = leat_rng_next(&pick) - 1;
        uint64_t start = r.position;
        for (uint64_t position = start; position != start + 2; position++) {
            const uint64_t block = position / 2;
            const uint32_t key[] = { (uint32_t)r.seed, (uint32_t)(r.seed >> 32) };
            const uint32_t counter[] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r.stream,
                                         (uint32_t)(r.stream >> 32) };
            uint32_t out[4];
            philox(key, counter, out);
            const uint32_t *half = out + 2 * (position % 2);
            cr_assert_eq(leat_rng_next(&r), half[0] | (uint64_t)half[1] << 32);
            cr_assert_eq(r.position, position + 1);
        }
    }
}

/* The same on every machine and in both precisions. */
Test(rng, normals_are_these)
{
    static const double expected[] = {
        -0x1.42dc65ce0ff8p-4,  -0x1.a3f4a5b3e5024p-2, -0x1.caca1d20ed484p-2, -0x1.d61412d6e26abp-4,
        0x1.a1a8bc2f2eb55p-2,  0x1.805c509d131d3p-1,  0x1.c447f0807783ep-2,  -0x1.3b29da9b3fb77p-2,
        0x1.fb285d987d0dfp-1,  -0x1.70b601e951132p-1, -0x1.16290af19a376p-1, -0x1.be62593bdf655p+0,
        0x1.4e5c5eec49af3p-1,  -0x1.cfccc2adf1707p-1, -0x1.dc1a6a63ac5b2p-3, -0x1.d2154dd4fc69bp-1,
        -0x1.1b2334dde61eep+0, -0x1.2ddbf926906c6p-9, -0x1.0d4dfc9e0488ap-2, -0x1.27a894ba6b76ep-7,
    };
    leat_rng r = leat_rng_new(42, 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        double x = leat_rng_normal(&r);
        cr_assert_eq(x, expected[i], "normal %zu is %a", i, x);
    }
}

static void within(const char *what, double value, double expected, double deviation)
{
    cr_assert(fabs(value - expected) < DEVIATIONS * deviation, "%s: %g, not %g +- %g", what, value, expected,
              deviation);
}

/* Chi-square of DRAWS numbers that should be uniform on (0, 1). */
static void uniform_by_chi_square(const char *what, const double *u)
{
    enum { BINS = 1000 };
    static double count[BINS];
    memset(count, 0, sizeof count);
    for (int i = 0; i < DRAWS; i++)
        count[(int)(u[i] * BINS)] += 1;
    double chi_square = 0, expected = (double)DRAWS / BINS;
    for (int i = 0; i < BINS; i++)
        chi_square += (count[i] - expected) * (count[i] - expected) / expected;
    within(what, chi_square, BINS - 1, sqrt(2.0 * (BINS - 1)));
}

static double mean_of_power(const double *x, int power)
{
    double sum = 0;
    for (int i = 0; i < DRAWS; i++)
        sum += pow(x[i], power);
    return sum / DRAWS;
}

static double *draw(double (*one)(leat_rng *), uint64_t stream)
{
    double *x = malloc(DRAWS * sizeof *x);
    leat_rng r = leat_rng_new(2024, stream);
    for (int i = 0; i < DRAWS; i++)
        x[i] = one(&r);
    cr_assert_eq(r.position, (uint64_t)DRAWS);
    return x;
}

Test(rng, uniforms_are_uniform)
{
    double *u = draw(leat_rng_uniform, 0), *other = draw(leat_rng_uniform, 1), neighbours = 0, streams = 0;
    for (int i = 0; i < DRAWS; i++) {
        cr_assert(u[i] > 0 && u[i] < 1);
        neighbours += (u[i] - 0.5) * (u[(i + 1) % DRAWS] - 0.5);
        streams += (u[i] - 0.5) * (other[i] - 0.5);
    }
    uniform_by_chi_square("chi-square", u);
    within("mean", mean_of_power(u, 1), 0.5, sqrt(1.0 / 12 / DRAWS));
    within("second moment", mean_of_power(u, 2), 1.0 / 3, sqrt((1.0 / 5 - 1.0 / 9) / DRAWS));
    within("correlation of neighbours", 12 * neighbours / DRAWS, 0, sqrt(1.0 / DRAWS));
    within("correlation of streams", 12 * streams / DRAWS, 0, sqrt(1.0 / DRAWS));
    free(u);
    free(other);
}

Test(rng, normals_are_normal)
{
    double *x = draw(leat_rng_normal, 2);
    within("mean", mean_of_power(x, 1), 0, sqrt(1.0 / DRAWS));
    within("second moment", mean_of_power(x, 2), 1, sqrt(2.0 / DRAWS));
    within("third moment", mean_of_power(x, 3), 0, sqrt(15.0 / DRAWS));
    within("fourth moment", mean_of_power(x, 4), 3, sqrt(96.0 / DRAWS));
    for (int i = 0; i < DRAWS; i++)
        x[i] = 0.5 * erfc(-x[i] * sqrt(0.5));
    uniform_by_chi_square("chi-square", x);
    free(x);
}

Test(rng, logistics_are_logistic)
{
    leat_real *x = malloc(DRAWS * sizeof *x);
    double *u = malloc(DRAWS * sizeof *u);
    leat_rng r = leat_rng_new(2024, 3);
    leat_rng_fill_logistic(&r, x, DRAWS);
    for (int i = 0; i < DRAWS; i++)
        u[i] = (double)x[i];
    const double variance = acos(-1) * acos(-1) / 3;
    within("mean", mean_of_power(u, 1), 0, sqrt(variance / DRAWS));
    within("second moment", mean_of_power(u, 2), variance, sqrt((4.2 - 1) * variance * variance / DRAWS));
    for (int i = 0; i < DRAWS; i++)
        u[i] = 1 / (1 + exp(-u[i]));
    uniform_by_chi_square("chi-square", u);
    free(x);
    free(u);
}

/* What each fill should give, by drawing one number. */
static double one_uniform(leat_rng *r)
{
    return fma(3.5 - -2, leat_rng_uniform(r), -2);
}
static double one_logistic(leat_rng *r)
{
    long double u = (long double)leat_rng_uniform(r);
    return (double)(logl(u) - logl(1 - u));
}

enum { FILL_UNIFORM, FILL_NORMAL, FILL_LOGISTIC, FILLS };

static void fill(int kind, leat_rng *r, leat_real *out, int64_t n)
{
    if (kind == FILL_UNIFORM)
        leat_rng_fill_uniform(r, out, n, -2, 3.5);
    else if (kind == FILL_NORMAL)
        leat_rng_fill_normal(r, out, n);
    else
        leat_rng_fill_logistic(r, out, n);
}

Test(rng, fills_are_draws_one_by_one)
{
    static double (*const one[FILLS])(leat_rng *) = { one_uniform, leat_rng_normal, one_logistic };
    static const int64_t sizes[] = { 0, 1, 2, 3, 4, 255, 256, 257, 511, 512, 513, 1000 };
    const double epsilon = sizeof(leat_real) == 8 ? 0x1p-53 : 0x1p-24;
    for (int kind = 0; kind < FILLS; kind++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (uint64_t start = 0; start < 3; start++) {
                leat_rng r = leat_rng_new(9, 4), again = r;
                r.position = again.position = start;
                leat_real out[1001];
                out[sizes[s]] = 77;
                fill(kind, &r, out, sizes[s]);
                for (int64_t i = 0; i < sizes[s]; i++) {
                    double expected = one[kind](&again), off = fabs((double)out[i] - (double)(leat_real)expected);
                    cr_assert_leq(off, kind == FILL_LOGISTIC ? 4 * epsilon * fabs(expected) : 0,
                                  "fill %d of %d from %d, element %d", kind, (int)sizes[s], (int)start, (int)i);
                }
                cr_assert_eq(r.position, start + (uint64_t)sizes[s]);
                cr_assert_eq(out[sizes[s]], 77, "wrote past the end");
            }
        }
    }
}

Test(rng, fill_in_parts_is_fill_at_once)
{
    leat_real whole[2000], parts[2000];
    for (int kind = 0; kind < FILLS; kind++) {
        leat_rng a = leat_rng_new(1, 1), b = a;
        fill(kind, &a, whole, 2000);
        for (int64_t done = 0, step = 1; done < 2000; done += step, step = step * 3 % 2000) {
            step = step < 2000 - done ? step : 2000 - done;
            fill(kind, &b, parts + done, step);
        }
        cr_assert_eq(memcmp(whole, parts, sizeof whole), 0);
        cr_assert_eq(a.position, b.position);
    }
}

Test(rng, below_keeps_its_bounds_and_is_uniform)
{
    leat_rng r = leat_rng_new(6, 0);
    static const int64_t bounds[] = { 1, 2, 3, 7, 10, 1000, (int64_t)1 << 40, INT64_MAX };
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        for (int i = 0; i < 10000; i++) {
            int64_t x = leat_rng_below(&r, bounds[b]);
            cr_assert(x >= 0 && x < bounds[b]);
        }
    }
    double count[7] = { 0 }, chi_square = 0;
    for (int i = 0; i < 70000; i++)
        count[leat_rng_below(&r, 7)] += 1;
    for (int i = 0; i < 7; i++)
        chi_square += (count[i] - 10000) * (count[i] - 10000) / 10000;
    within("chi-square", chi_square, 6, sqrt(12));
}

/* 2^64 is 2 2/3 times this bound: taken modulo, three quarters of the numbers would be in its lower two thirds. */
Test(rng, below_is_not_biased)
{
    const int64_t bound = (int64_t)3 << 61;
    leat_rng r = leat_rng_new(6, 1);
    double low = 0;
    for (int i = 0; i < 100000; i++)
        low += leat_rng_below(&r, bound) < bound / 3 * 2;
    within("share of the lower two thirds", low / 100000, 2.0 / 3, sqrt(2.0 / 9 / 100000));
}

Test(rng, permutation_is_one)
{
    leat_rng r = leat_rng_new(8, 0);
    static int64_t p[1000];
    for (int64_t n = 0; n <= 1000; n = 3 * n / 2 + 1) {
        uint64_t before = r.position;
        char seen[1000] = { 0 };
        leat_rng_permutation(&r, p, n);
        for (int64_t i = 0; i < n; i++) {
            cr_assert(p[i] >= 0 && p[i] < n && !seen[p[i]]);
            seen[p[i]] = 1;
        }
        cr_assert_geq(r.position - before, (uint64_t)(n > 0 ? n - 1 : 0));
    }
}

Test(rng, permutations_are_uniform)
{
    leat_rng r = leat_rng_new(8, 1);
    double count[256] = { 0 }, chi_square = 0;
    int kinds = 0;
    for (int i = 0; i < 24000; i++) {
        int64_t p[4];
        leat_rng_permutation(&r, p, 4);
        count[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]] += 1;
    }
    for (int i = 0; i < 256; i++) {
        if (count[i] > 0) {
            kinds++;
            chi_square += (count[i] - 1000) * (count[i] - 1000) / 1000;
        }
    }
    cr_assert_eq(kinds, 24);
    within("chi-square", chi_square, 23, sqrt(46));
}
