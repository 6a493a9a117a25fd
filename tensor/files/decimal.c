/*
 * Decimal text to binary. Of a number with at most 19 digits these are an integer w, and its value is w 10^e. Then, from
 * fast to slow, the first that can:
 *
 *   1. w <= 2^53 and |e| <= 22: both are doubles, and one multiplication or division rounds once (Clinger, "How to read
 *      floating point numbers accurately", 1990). A float comes from that double unless it lies halfway between two.
 *   2. |e| <= 27: 5^|e| fits 64 bits, so that w 5^e is exact in 128, or its quotient with a bit for the remainder.
 *   3. strtod. It rounds correctly but its decimal point is the locale's, so it gets a form without: "-125e-4".
 */
#include "decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* |value| = digits 10^exponent, if there are no more than 19 of them, which surely fit 64 bits. */
typedef struct decimal {
    uint64_t digits;
    int64_t exponent, count;
} decimal;

/* [sign] digits at text[0 .. size). Returns the length, 0 when there is no digit. */
static size_t read_exponent(const char *text, size_t size, int64_t *value)
{
    size_t begin = size > 0 && (text[0] == '-' || text[0] == '+'), at = begin;
    int64_t sum = 0;
    for (; at < size && is_digit(text[at]); at++) {
        if (sum < INT64_C(1000000000000000))
            sum = sum * 10 + (text[at] - '0');
    }
    *value = begin > 0 && text[0] == '-' ? -sum : sum;
    return at > begin ? at : 0;
}

/* The number at the beginning of a text; its length, or 0. */
static inline size_t scan(const char *text, size_t size, decimal *d)
{
    const char *at = text, *end = text + size, *first, *point;
    int64_t power;
    size_t length;
    *d = (decimal){ 0 };
    at += size > 0 && (*at == '-' || *at == '+');
    for (first = at; at < end && is_digit(*at); at++)
        d->digits = 10 * d->digits + (uint64_t)(*at - '0');
    d->count = at - first;
    if (at < end && *at == '.') {
        for (point = at++; at < end && is_digit(*at); at++)
            d->digits = 10 * d->digits + (uint64_t)(*at - '0');
        d->exponent = point + 1 - at;
        d->count -= d->exponent;
    }
    if (d->count == 0)
        return 0;
    if (at < end && (*at == 'e' || *at == 'E') &&
        (length = read_exponent(at + 1, (size_t)(end - at - 1), &power)) > 0) {
        d->exponent += power;
        at += 1 + length;
    }
    return (size_t)(at - text);
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 uint128;

/* w 10^e = x 2^(e - shift), with the last bit of x set if there is more behind it. */
static bool convert_exactly(uint64_t w, int64_t e, bool single, double *out)
{
    uint64_t power = 1;
    int left = (int)(e < 0 ? -e : e), shift = 0;
    for (; left >= 9; left -= 9)
        power *= 1953125; /* 5^9 */
    for (; left > 0; left--)
        power *= 5;
    uint128 x = (uint128)w * power;
    if (e < 0) { /* the dividend's top bit is set, so that the quotient has 64 bits at least */
        shift = 64 + __builtin_clzll(w);
        uint128 dividend = (uint128)w << shift;
        x = dividend / power;
        x |= x * power != dividend;
    }
    *out = ldexp(single ? (double)(float)x : (double)x, (int)e - shift);
    return true;
}
#else
static bool convert_exactly(uint64_t w, int64_t e, bool single, double *out)
{
    (void)w, (void)e, (void)single, (void)out;
    return false;
}
#endif

/* w 10^e rounded once; false when that is left to strtod. */
static inline bool convert(uint64_t w, int64_t e, bool single, double *out)
{
    static const double powers_of_10[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                           1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    uint64_t bits;
    if (w <= UINT64_C(1) << 53 && e >= -22 && e <= 22) {
        *out = e < 0 ? (double)w / powers_of_10[-e] : (double)w * powers_of_10[e];
        memcpy(&bits, out, sizeof bits);
        if (!single || (bits & 0x1FFFFFFF) != 0x10000000) /* not halfway between floats; 1e-22 is no subnormal one */
            return true;
    }
    return w > 0 && e >= -27 && e <= 27 && convert_exactly(w, e, single, out);
}

/* A number halfway between two doubles has at most 767 significant digits. Of a longer text it matters only whether
 * anything but zeros follows, and one more digit says that. */
enum { DIGITS = 800 };

/* The absolute value of a number that `scan` has seen. */
static double convert_text(const char *text, size_t size, bool single)
{
    char plain[DIGITS + 32];
    size_t i = text[0] == '-' || text[0] == '+', count = 0;
    int64_t exponent = 0, power = 0;
    bool fraction = false, rest = false;
    for (; i < size && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            fraction = true;
            continue;
        }
        exponent -= fraction;
        if (count == DIGITS) {
            exponent++;
            rest = rest || text[i] != '0';
        } else if (count > 0 || text[i] != '0') {
            plain[count++] = text[i];
        }
    }
    if (i < size)
        read_exponent(text + i + 1, size - i - 1, &power);
    exponent += power - rest;
    bool down = exponent < 0;
    exponent = down ? -exponent : exponent;
    if (rest || count == 0)
        plain[count++] = rest ? '1' : '0';
    plain[count++] = 'e';
    plain[count++] = down ? '-' : '+';
    for (int unit = 10000; unit > 0; unit /= 10) /* 5 digits are far out of range for 800 in front */
        plain[count++] = (char)('0' + (exponent < 99999 ? exponent : 99999) / unit % 10);
    plain[count] = '\0';
    return single ? (double)strtof(plain, NULL) : strtod(plain, NULL);
}

size_t leat_decimal_parse(const char *text, size_t size, bool single, double *out)
{
    decimal d;
    double x;
    size_t length = scan(text, size, &d);
    if (length > 0) {
        if (d.count > 19 || !convert(d.digits, d.exponent, single, &x))
            x = convert_text(text, length, single);
        x = single ? (double)(float)x : x;
        *out = *text == '-' ? -x : x;
    }
    return length;
}

double leat_decimal_nearest(uint64_t digits, int64_t exponent, bool single)
{
    char text[48];
    double x;
    if (!convert(digits, exponent, single, &x)) {
        int length = snprintf(text, sizeof text, "%llue%lld", (unsigned long long)digits, (long long)exponent);
        x = convert_text(text, (size_t)length, single);
    }
    return single ? (double)(float)x : x;
}

double leat_decimal_read(const char *text, size_t size)
{
    double x = 0;
    leat_decimal_parse(text, size, false, &x);
    return x;
}
