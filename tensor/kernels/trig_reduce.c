/*
 * x times 2/pi, modulo 4, for any large x, after Payne and Hanek (1983): of the digits of 2/pi only a window matters.
 * Those before it make multiples of 4, those behind it too little to be seen. With x = m 2^e and m an integer of 53
 * bits, the window has 192 bits, so 139 are right behind the point, and the least distance of a double from a multiple
 * of pi/2 (some 2^-61) keeps 78.
 */
#include "trig_reduce.h"

#include <math.h>
#include <stdint.h>

/* 64 zeros, then the binary digits of 2/pi. */
static const uint32_t digits[] = {
    0,           0,           0xa2f9836eU, 0x4e441529U, 0xfc2757d1U, 0xf534ddc0U, 0xdb629599U, 0x3c439041U,
    0xfe5163abU, 0xdebbc561U, 0xb7246e3aU, 0x424dd2e0U, 0x06492eeaU, 0x09d1921cU, 0xfe1deb1cU, 0xb129a73eU,
    0xe88235f5U, 0x2ebb4484U, 0xe99c7026U, 0xb45f7e41U, 0x3991d639U, 0x835339f4U, 0x9c845f8bU, 0xbdf9283bU,
    0x1ff897ffU, 0xde05980fU, 0xef2f118bU, 0x5a0a6d1fU, 0x6d367ecfU, 0x27cb09b7U, 0x4f463f66U, 0x9e5fea2dU,
    0x7527bac7U, 0xebe5f17bU, 0x3d0739f7U, 0x8a5292eaU, 0x6bfb5fb1U, 0x1f8d5d08U, 0x56033046U, 0xfc7b6babU,
};

enum { WORDS = 6 }; /* of the window, and of every product: the first is the highest */

/* The window behind the first `skip` digits. */
static void take_window(int skip, uint32_t window[WORDS])
{
    int word = skip / 32, bit = skip % 32;
    for (int i = 0; i < WORDS; i++) {
        uint64_t two = (uint64_t)digits[word + i] << 32 | digits[word + i + 1];
        window[i] = (uint32_t)(two << bit >> 32);
    }
}

/* product += factor * window * 2^(32 shift), modulo 2^192. */
static void add_product(uint32_t factor, const uint32_t window[WORDS], int shift, uint32_t product[WORDS])
{
    uint64_t carry = 0;
    for (int i = WORDS - 1; i >= shift; i--) {
        carry += (uint64_t)factor * window[i] + product[i - shift];
        product[i - shift] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* Two's complement. */
static void negate(uint32_t f[WORDS])
{
    uint64_t carry = 1;
    for (int i = WORDS - 1; i >= 0; i--) {
        carry += (uint32_t)~f[i];
        f[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

int leat_trig_reduce(double x, double *r, double *w)
{
    int exponent;
    uint64_t m = (uint64_t)ldexp(frexp(x, &exponent), 53);
    uint32_t window[WORDS], f[WORDS] = { 0 };
    take_window(exponent - 53 - 2 + 64, window);
    add_product((uint32_t)m, window, 0, f);
    add_product((uint32_t)(m >> 32), window, 1, f);

    /* f / 2^192 is the fractional part of x / (2 pi): two bits of n, then the rest, brought to -1/2 .. 1/2. */
    int n = (int)(f[0] >> 30);
    for (int i = 0; i < WORDS; i++)
        f[i] = f[i] << 2 | (i + 1 < WORDS ? f[i + 1] >> 30 : 0);
    double sign = 1;
    if (f[0] >> 31) {
        negate(f);
        sign = -1;
        n = (n + 1) & 3;
    }

    /* To two doubles, each of the five digits being one exactly, and times pi/2. */
    double high = ldexp((double)f[0], -32) + ldexp((double)f[1], -64);
    double low = ldexp((double)f[1], -64) - (high - ldexp((double)f[0], -32));
    low += ldexp((double)f[2], -96) + ldexp((double)f[3], -128) + ldexp((double)f[4], -160);
    double sum = high + low;
    low -= sum - high;
    const double half_pi = 0x1.921fb54442d18p+0, half_pi_low = 0x1.1a62633145c07p-54;
    double product = sum * half_pi;
    *r = sign * product;
    *w = sign * (fma(sum, half_pi, -product) + fma(sum, half_pi_low, low * half_pi));
    return n;
}
