/*
 * Binary to the shortest decimal that reads back as the same number.
 *
 * x = m 2^k is scaled by a power of ten to an integer of 17 digits and a remainder, exactly, in 128 bits where x is of
 * ordinary size and by printf elsewhere. Fewer digits follow by rounding those: all that 15 digits can say (6 of a
 * float) reads back to the same digits, so that the search begins there and zeros at the end fall away.
 */
#include "decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 17 };

static const uint64_t powers_of_10[] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
};

/* d[0] . d[1] d[2] ... times 10^exponent */
typedef struct digits {
    uint64_t value; /* of all of them; the first is not 0 but in zero itself */
    int count, exponent;
} digits;

/* x > 0 cut to 17 digits; `rest` is what was cut off, in halves of the last digit: 0, 1 (less than one half), 2, 3. */
typedef struct expansion {
    digits d;
    int rest;
} expansion;

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 uint128;

/* m 10^scale 2^k with its fraction cut off; false when 128 bits are too few. */
static bool scale_up(uint64_t m, int k, int scale, uint64_t *whole, int *rest)
{
    uint128 x = m;
    if (scale < 0 || scale > 27)
        return false;
    for (int i = scale; i > 0; i -= 9)
        x *= i < 9 ? powers_of_10[i] >> i : powers_of_10[9] >> 9; /* 5^i = 10^i / 2^i */
    k += scale;
    if (k >= 0) { /* x is below 10^18 in the end */
        *whole = (uint64_t)(x << k);
        *rest = 0;
        return true;
    }
    if (k < -127)
        return false;
    uint128 low = x & (((uint128)1 << -k) - 1), half = (uint128)1 << (-k - 1);
    *whole = (uint64_t)(x >> -k);
    *rest = low == 0 ? 0 : low < half ? 1 : low == half ? 2 : 3;
    return true;
}

static bool expand(double x, expansion *e)
{
    int k, rest;
    uint64_t m = (uint64_t)ldexp(frexp(x, &k), 53), whole;
    int exponent = (int)floor((k - 1) * 0.30102999566398120); /* of the first digit, or one less */
    if (!scale_up(m, k - 53, MOST_DIGITS - 1 - exponent, &whole, &rest))
        return false;
    if (whole >= powers_of_10[MOST_DIGITS]) {
        exponent++;
        if (!scale_up(m, k - 53, MOST_DIGITS - 1 - exponent, &whole, &rest))
            return false;
    }
    *e = (expansion){ { whole, MOST_DIGITS, exponent }, rest };
    return true;
}
#else
static bool expand(double x, expansion *e)
{
    (void)x, (void)e;
    return false;
}
#endif

static digits round_expansion(const expansion *e, int count)
{
    uint64_t unit = powers_of_10[MOST_DIGITS - count], value = e->d.value / unit, low = e->d.value % unit;
    digits d = { .count = count, .exponent = e->d.exponent };
    bool up;
    if (count == MOST_DIGITS) {
        up = e->rest == 3 || (e->rest == 2 && value % 2 == 1);
    } else {
        up = low > unit / 2 || (low == unit / 2 && (e->rest > 0 || value % 2 == 1));
    }
    value += up;
    if (value == powers_of_10[count]) {
        value /= 10;
        d.exponent++;
    }
    d.value = value;
    return d;
}

static digits round_by_printf(double x, int count)
{
    char text[48];
    digits d = { .count = count };
    snprintf(text, sizeof text, "%.*e", count - 1, x);
    for (const char *c = text; *c != 'e'; c++) {
        if (*c >= '0' && *c <= '9') /* the point is the locale's */
            d.value = 10 * d.value + (uint64_t)(*c - '0');
    }
    d.exponent = atoi(strchr(text, 'e') + 1);
    return d;
}

/* The fewest digits that read back as x > 0, without zeros at their end. Subnormal numbers have less than the usual
 * precision, so that for them the search begins at one digit. */
static digits shortest(double x, bool single)
{
    int most = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    int least = x < (single ? (double)FLT_MIN : DBL_MIN) ? 1 : single ? FLT_DIG : DBL_DIG;
    expansion e;
    bool exact = expand(x, &e);
    digits d;
    for (int count = least;; count++) {
        d = exact ? round_expansion(&e, count) : round_by_printf(x, count);
        if (count == most || leat_decimal_nearest(d.value, d.exponent - count + 1, single) == x)
            break;
    }
    while (d.count > 1 && d.value % 10 == 0) {
        d.value /= 10;
        d.count--;
    }
    return d;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static char *put_zeros(char *at, int count)
{
    for (; count > 0; count--)
        *at++ = '0';
    return at;
}

static char *put_digits(char *at, uint64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

/* Plain from 1e-5 to 1e17, in between with `point` at least one digit behind a point; else with an exponent. */
static char *put_number(char *at, digits d, bool point)
{
    int whole = d.exponent + 1; /* digits before the point */
    if (d.exponent < -5 || d.exponent > 16) {
        uint64_t unit = powers_of_10[d.count - 1];
        int size = abs(d.exponent);
        at = put_digits(at, d.value / unit, 1);
        if (d.count > 1) {
            *at++ = '.';
            at = put_digits(at, d.value % unit, d.count - 1);
        }
        *at++ = 'e';
        *at++ = d.exponent < 0 ? '-' : '+';
        return put_digits(at, (uint64_t)size, size < 100 ? 2 : 3);
    }
    if (whole <= 0) {
        *at++ = '0';
        *at++ = '.';
        return put_digits(put_zeros(at, -whole), d.value, d.count);
    }
    if (d.count > whole) {
        uint64_t unit = powers_of_10[d.count - whole];
        at = put_digits(at, d.value / unit, whole);
        *at++ = '.';
        return put_digits(at, d.value % unit, d.count - whole);
    }
    at = put_zeros(put_digits(at, d.value, d.count), whole - d.count);
    if (point) {
        *at++ = '.';
        *at++ = '0';
    }
    return at;
}

static size_t print(double x, bool single, bool point, char text[LEAT_DECIMAL_TEXT])
{
    char *at = text;
    if (signbit(x))
        *at++ = '-';
    at = put_number(at, x == 0 ? (digits){ .count = 1 } : shortest(fabs(x), single), point);
    *at = '\0';
    return (size_t)(at - text);
}

size_t leat_decimal_print(double x, char text[LEAT_DECIMAL_TEXT])
{
    return print(x, false, true, text);
}

size_t leat_decimal_print_plain(double x, bool single, char text[LEAT_DECIMAL_TEXT])
{
    if (!isfinite(x)) {
        strcpy(text, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
        return strlen(text);
    }
    return print(x, single, false, text);
}
