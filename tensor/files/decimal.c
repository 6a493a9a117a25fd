/*
 * Decimal text to binary and back, by the C library, whose strtod, strtof and printf round correctly.
 *
 * Their decimal point is the locale's, so strtod gets a form without ("-125e-4"), and of what printf writes the digits
 * alone are taken. In front of strtod stands the case that nearly all numbers are: digits as an integer up to 2^53 times
 * 10^e, |e| <= 22. Both are doubles, and one multiplication or division rounds once (Clinger, "How to read floating
 * point numbers accurately", 1990). A float comes from that double unless it lies halfway between two.
 */
#include "decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- from text --------------------------------------------------------------------------------------------------- */

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

/* digits 10^exponent, rounded once; false when that takes more than a multiplication. */
static inline bool convert(uint64_t digits, int64_t exponent, bool single, double *out)
{
    static const double powers_of_10[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                           1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    double x = (double)digits;
    uint64_t bits;

    if (digits > UINT64_C(1) << 53 || exponent < -22 || exponent > 22)
        return false;
    *out = exponent < 0 ? x / powers_of_10[-exponent] : x * powers_of_10[exponent];
    memcpy(&bits, out, sizeof bits);
    return !single || (bits & 0x1FFFFFFF) != 0x10000000; /* halfway between floats; 1e-22 is no subnormal one */
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
    snprintf(plain + count, sizeof plain - count, "%se%lld",
             rest         ? "1"
             : count == 0 ? "0"
                          : "",
             (long long)(exponent + power - rest));
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

/* ---- to text ----------------------------------------------------------------------------------------------------- */

/* x > 0 with that many digits, as text, and the exponent of the first; whether they read back as x. */
static bool print_digits(double x, bool single, int count, char digits[20], int *exponent)
{
    char text[48], *c = text;
    uint64_t value = 0;
    double back;
    int n = 0;

    snprintf(text, sizeof text, "%.*e", count - 1, x);
    for (; *c != 'e'; c++) {
        if (is_digit(*c)) { /* the point is the locale's */
            digits[n++] = *c;
            value = 10 * value + (uint64_t)(*c - '0');
        }
    }
    digits[n] = '\0';
    *exponent = atoi(c + 1);
    if (!convert(value, *exponent - count + 1, single, &back)) {
        snprintf(text, sizeof text, "%se%d", digits, *exponent - count + 1);
        back = single ? (double)strtof(text, NULL) : strtod(text, NULL);
    }
    return (single ? (double)(float)back : back) == x;
}

/* Plain from 1e-5 to 1e17, in between with `point` at least one digit behind a point; else with an exponent. */
static int put_number(char *at, const char *digits, int count, int exponent, bool point)
{
    int whole = exponent + 1; /* digits before the point */

    if (exponent < -5 || exponent > 16)
        return sprintf(at, "%.1s%s%se%+03d", digits, count > 1 ? "." : "", digits + 1, exponent);
    if (whole <= 0)
        return sprintf(at, "0.%.*s%s", -whole, "0000", digits);
    if (count > whole)
        return sprintf(at, "%.*s.%s", whole, digits, digits + whole);
    return sprintf(at, "%s%.*s%s", digits, whole - count, "0000000000000000", point ? ".0" : "");
}

/* The fewest digits that read back, without zeros at their end. All that 15 digits can say (6 of a float) reads back to
 * the same digits, so that the search begins there; at one digit for subnormal numbers, which have less precision. */
static size_t print(double x, bool single, bool point, char text[LEAT_DECIMAL_TEXT])
{
    double size = fabs(x);
    int count = size < (single ? (double)FLT_MIN : DBL_MIN) ? 1 : single ? FLT_DIG : DBL_DIG, exponent;
    char digits[20];

    while (!print_digits(size, single, count, digits, &exponent))
        count++;
    while (count > 1 && digits[count - 1] == '0')
        digits[--count] = '\0';
    strcpy(text, "-");
    return (size_t)(signbit(x) ? 1 + put_number(text + 1, digits, count, exponent, point)
                               : put_number(text, digits, count, exponent, point));
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

double leat_decimal_read(const char *text, size_t size)
{
    double x = 0;

    leat_decimal_parse(text, size, false, &x);
    return x;
}
