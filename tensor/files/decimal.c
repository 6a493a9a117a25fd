/*
 * Decimal text to binary.
 *
 * Of a number the first 19 significant digits are taken as an integer w, so that its value is w 10^e. Then, from fast to
 * slow, the first that is certain of its rounding:
 *
 *   1. w <= 2^53 and |e| <= 22: both are doubles, and one multiplication or division rounds once (Clinger, "How to read
 *      floating point numbers accurately", 1990). A float comes from that double unless it lies halfway between two.
 *   2. |e| <= 27: 5^|e| fits 64 bits, so that w 5^e is exact in 128.
 *   3. 64 bits of w 10^e with a bound on what is missing: enough unless a halfway point is that near.
 *   4. strtod. It rounds correctly but its decimal point is the locale's, so it gets a form without: "-125e-4".
 */
#include "decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 19 }; /* that surely fit 64 bits */

typedef struct decimal {
    uint64_t digits; /* |value| = digits 10^exponent, a little more when `cut` */
    int64_t exponent;
    bool negative, cut;
} decimal;

/* ---- text -------------------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

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

/* Takes digits and a point again when there are more than 19 digits: the first that count. */
static void take_leading(const char *at, const char *end, decimal *d)
{
    bool fraction = false;
    int count = 0;

    d->digits = 0;
    d->exponent = 0;
    for (; at < end; at++) {
        if (*at == '.') {
            fraction = true;
        } else if (count == MOST_DIGITS) {
            d->cut = d->cut || *at != '0';
            d->exponent += !fraction;
        } else {
            d->digits = 10 * d->digits + (uint64_t)(*at - '0');
            d->exponent -= fraction;
            count += d->digits > 0;
        }
    }
}

/* The number at the beginning of a text; its length, or 0. */
static inline size_t scan(const char *text, size_t size, decimal *d)
{
    const char *at = text, *end = text + size, *first, *point;
    uint64_t digits = 0; /* wraps round when there are many, and is not used then */
    int64_t count, power;
    size_t length;

    *d = (decimal){ .negative = size > 0 && *at == '-' };
    at += size > 0 && (*at == '-' || *at == '+');
    for (first = at; at < end && is_digit(*at); at++)
        digits = 10 * digits + (uint64_t)(*at - '0');
    count = at - first;
    if (at < end && *at == '.') {
        for (point = at++; at < end && is_digit(*at); at++)
            digits = 10 * digits + (uint64_t)(*at - '0');
        d->exponent = point + 1 - at;
        count -= d->exponent;
    }
    if (count == 0)
        return 0;
    d->digits = digits;
    if (count > MOST_DIGITS)
        take_leading(first, at, d);
    if (at < end && (*at == 'e' || *at == 'E') &&
        (length = read_exponent(at + 1, (size_t)(end - at - 1), &power)) > 0) {
        d->exponent += power;
        at += 1 + length;
    }
    return (size_t)(at - text);
}

/* ---- by way of the C library ------------------------------------------------------------------------------------- */

/* A number halfway between two doubles has at most 767 significant digits. Of a longer text it matters only whether
 * anything but zeros follows, and one more digit says that. */
#define DIGITS 800

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
    if (rest) {
        plain[count++] = '1';
        exponent--;
    }
    if (count == 0)
        plain[count++] = '0';
    if (i < size)
        read_exponent(text + i + 1, size - i - 1, &power);
    snprintf(plain + count, sizeof plain - count, "e%lld", (long long)(exponent + power));
    return single ? (double)strtof(plain, NULL) : strtod(plain, NULL);
}

static double convert_digits(uint64_t digits, int64_t exponent, bool single)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%llue%lld", (unsigned long long)digits, (long long)exponent);

    return convert_text(text, (size_t)length, single);
}

/* ---- in integers ------------------------------------------------------------------------------------------------- */

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 uint128;

static const uint64_t powers_of_5[] = {
    1u,
    5u,
    25u,
    125u,
    625u,
    3125u,
    15625u,
    78125u,
    390625u,
    1953125u,
    9765625u,
    48828125u,
    244140625u,
    1220703125u,
    6103515625u,
    30517578125u,
    152587890625u,
    762939453125u,
    3814697265625u,
    19073486328125u,
    95367431640625u,
    476837158203125u,
    2384185791015625u,
    11920928955078125u,
    59604644775390625u,
    298023223876953125u,
    1490116119384765625u,
    7450580596923828125u,
};

/* 10^(27 (i - 13)) = mantissa 2^exponent, rounded down. */
static const struct {
    uint64_t mantissa;
    int exponent;
} powers_of_10_27[] = {
    { 0x8049A4AC0C5811AE, -1229 }, { 0xCF42894A5DCE35EA, -1140 }, { 0xA76C582338ED2621, -1050 },
    { 0x873E4F75E2224E68, -960 },  { 0xDA7F5BF590966848, -871 },  { 0xB080392CC4349DEC, -781 },
    { 0x8E938662882AF53E, -691 },  { 0xE65829B3046B0AFA, -602 },  { 0xBA121A4650E4DDEB, -512 },
    { 0x964E858C91BA2655, -422 },  { 0xF2D56790AB41C2A2, -333 },  { 0xC428D05AA4751E4C, -243 },
    { 0x9E74D1B791E07E48, -153 },  { 0x8000000000000000, -63 },   { 0xCECB8F27F4200F3A, 26 },
    { 0xA70C3C40A64E6C51, 116 },   { 0x86F0AC99B4E8DAFD, 206 },   { 0xDA01EE641A708DE9, 295 },
    { 0xB01AE745B101E9E4, 385 },   { 0x8E41ADE9FBEBC27D, 475 },   { 0xE5D3EF282A242E81, 564 },
    { 0xB9A74A0637CE2EE1, 654 },   { 0x95F83D0A1FB69CD9, 744 },   { 0xF24A01A73CF2DCCF, 833 },
    { 0xC3B8358109E84F07, 923 },
};

/* A number between m 2^exponent and (m + missing) 2^exponent, where m has its top bit set; if `missing` is 0, it is the
 * former, or between it and its successor when `sticky`. */
typedef struct approximation {
    uint64_t m, missing;
    int exponent;
    bool sticky;
} approximation;

/* The top 64 bits of x > 0. */
static approximation top_of(uint128 x, int exponent)
{
    uint64_t high = (uint64_t)(x >> 64), low = (uint64_t)x;
    int zeros = high ? __builtin_clzll(high) : 64 + __builtin_clzll(low);

    x <<= zeros;
    return (approximation){ .m = (uint64_t)(x >> 64), .exponent = exponent + 64 - zeros, .sticky = (uint64_t)x != 0 };
}

/* w 10^e, exactly, for w > 0 and |e| <= 27. */
static approximation exact_product(uint64_t w, int e)
{
    if (e >= 0)
        return top_of((uint128)w * powers_of_5[e], e);

    /* both with their top bits set, and w halved, so that the quotient has 63 or 64 bits */
    int shift_w = __builtin_clzll(w), shift_d = __builtin_clzll(powers_of_5[-e]);
    uint128 dividend = (uint128)(w << shift_w) << 63;
    uint64_t divisor = powers_of_5[-e] << shift_d;
    uint128 quotient = dividend / divisor;
    approximation a = top_of(quotient, e - 63 - shift_w + shift_d);
    a.sticky = dividend != quotient * divisor; /* top_of cut nothing off */
    return a;
}

/* w 10^e within a few units of the last of 64 bits, for w > 0 and -351 <= e <= 310. In those units, each factor's error
 * counts twice at most when the other is just below a power of two: w cut to 19 digits misses less than 19 units, the
 * first product 1, the power of ten 1, the second product 1. */
static approximation near_product(uint64_t w, int e, bool cut)
{
    int coarse = (e + 351) / 27, fine = (e + 351) % 27;
    approximation first = top_of((uint128)w * powers_of_5[fine], fine);
    approximation a =
        top_of((uint128)first.m * powers_of_10_27[coarse].mantissa, first.exponent + powers_of_10_27[coarse].exponent);
    a.missing = cut ? 44 : 6;
    return a;
}

/* Rounds to `bits` of significand; false when that is uncertain, or subnormal. */
static bool round_to(approximation a, int bits, int least, double *out)
{
    int drop = 64 - bits;
    uint64_t kept = a.m >> drop, low = a.m & ((UINT64_C(1) << drop) - 1), half = UINT64_C(1) << (drop - 1);

    if (a.exponent + 63 < least || (a.missing > 0 && low <= half && low + a.missing >= half))
        return false;
    kept += low > half || (low == half && (a.sticky || kept % 2 == 1));
    *out = ldexp((double)kept, a.exponent + drop);
    return true;
}

static bool convert_integers(const decimal *d, bool single, double *out)
{
    int e = (int)d->exponent;
    approximation a = e >= -27 && e <= 27 && !d->cut ? exact_product(d->digits, e) : near_product(d->digits, e, d->cut);
    return round_to(a, single ? 24 : 53, single ? -126 : -1022, out);
}
#else
static bool convert_integers(const decimal *d, bool single, double *out)
{
    (void)d, (void)single, (void)out;
    return false;
}
#endif

/* ---- the nearest number ------------------------------------------------------------------------------------------ */

static const double powers_of_10[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* Whether x lies halfway between two floats, so that what x was rounded from decides. Not for subnormal floats. */
static bool is_halfway(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x1FFFFFFF) == 0x10000000;
}

/* The absolute value; false when only the text can tell. */
static inline bool convert(const decimal *d, bool single, double *out)
{
    if (d->digits <= UINT64_C(1) << 53 && d->exponent >= -22 && d->exponent <= 22 && !d->cut) {
        double x = (double)d->digits;

        *out = d->exponent < 0 ? x / powers_of_10[-d->exponent] : x * powers_of_10[d->exponent];
        if (!single || !is_halfway(*out)) /* 1e-22 is no subnormal float */
            return true;
    }
    if (d->digits == 0 || d->exponent < -351) { /* below 1e-331 */
        *out = 0;
        return true;
    }
    if (d->exponent > 310) {
        *out = HUGE_VAL;
        return true;
    }
    return convert_integers(d, single, out);
}

double leat_decimal_nearest(uint64_t digits, int64_t exponent, bool single)
{
    decimal d = { .digits = digits, .exponent = exponent };
    double x;

    if (!convert(&d, single, &x))
        x = convert_digits(digits, exponent, single);
    return single ? (double)(float)x : x;
}

size_t leat_decimal_parse_double(const char *text, size_t size, double *out)
{
    decimal d;
    double x;
    size_t length = scan(text, size, &d);

    if (length > 0) {
        if (!convert(&d, false, &x))
            x = convert_text(text, length, false);
        *out = d.negative ? -x : x;
    }
    return length;
}

size_t leat_decimal_parse_float(const char *text, size_t size, float *out)
{
    decimal d;
    double x;
    size_t length = scan(text, size, &d);

    if (length > 0) {
        if (!convert(&d, true, &x))
            x = convert_text(text, length, true);
        *out = (float)(d.negative ? -x : x);
    }
    return length;
}

double leat_decimal_read(const char *text, size_t size)
{
    double x = 0;

    leat_decimal_parse_double(text, size, &x);
    return x;
}
