/*
 * Decimal text to double and back.
 *
 * The C library converts with correct rounding, but its decimal point is the locale's. Both directions therefore go
 * through a form without a point: digits and a power of ten, "-125e-4", which strtod reads the same in every locale;
 * printf's "%e" is stripped to the same form.
 */
#include "decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number halfway between two doubles has at most 767 significant digits. Of a longer text it matters only whether
 * anything but zeros follows, and one more digit says that. */
#define DIGITS 800

static int64_t read_exponent(const char *text, size_t size)
{
    bool negative = size > 0 && text[0] == '-';
    int64_t value = 0;

    for (size_t i = size > 0 && (text[0] == '-' || text[0] == '+'); i < size; i++) {
        if (value < INT64_C(1000000000000000))
            value = value * 10 + (text[i] - '0');
    }
    return negative ? -value : value;
}

double leat_decimal_read(const char *text, size_t size)
{
    char plain[DIGITS + 32];
    size_t i = size > 0 && text[0] == '-', count = 0;
    char *digits = plain + 1;
    int64_t exponent = 0;
    bool fraction = false, rest = false;

    plain[0] = i > 0 ? '-' : '+';
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
            digits[count++] = text[i];
        }
    }
    if (rest) {
        digits[count++] = '1';
        exponent--;
    }
    if (count == 0)
        digits[count++] = '0';
    if (i < size)
        exponent += read_exponent(text + i + 1, size - i - 1);
    snprintf(digits + count, sizeof plain - 1 - count, "e%lld", (long long)exponent);
    return strtod(plain, NULL);
}

/* x as digits[0 .. n) and the exponent of the first digit. Returns n, the least that reads back as x. */
static int shortest(double x, char digits[20], int *exponent)
{
    for (int n = 1;; n++) {
        char text[48];
        int used = 0;

        snprintf(text, sizeof text, "%.*e", n - 1, x);
        for (const char *c = text; *c != 'e'; c++) {
            if (*c >= '0' && *c <= '9')
                digits[used++] = *c;
        }
        *exponent = atoi(strchr(text, 'e') + 1);
        snprintf(text, sizeof text, "%s%.*se%d", x < 0 ? "-" : "", n, digits, *exponent - (n - 1));
        if (n == 17 || strtod(text, NULL) == x)
            return n;
    }
}

size_t leat_decimal_print(double x, char text[LEAT_DECIMAL_TEXT])
{
    char digits[20];
    int exponent, n = shortest(x, digits, &exponent), length;
    const char *sign = __builtin_signbit(x) ? "-" : "";

    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (exponent < -5 || exponent > 16) {
        length = snprintf(text, LEAT_DECIMAL_TEXT, "%s%c%s%.*se%+03d", sign, digits[0], n > 1 ? "." : "", n - 1,
                          digits + 1, exponent);
    } else if (exponent < 0) {
        length = snprintf(text, LEAT_DECIMAL_TEXT, "%s0.%.*s%.*s", sign, -exponent - 1, "00000", n, digits);
    } else if (n <= exponent + 1) {
        length =
            snprintf(text, LEAT_DECIMAL_TEXT, "%s%.*s%.*s.0", sign, n, digits, exponent + 1 - n, "0000000000000000");
    } else {
        length = snprintf(text, LEAT_DECIMAL_TEXT, "%s%.*s.%.*s", sign, exponent + 1, digits, n - exponent - 1,
                          digits + exponent + 1);
    }
    return (size_t)length;
}
