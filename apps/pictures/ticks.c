/* Where the numbers along an axis stand. A step is a mantissa times a power of ten, kept apart so that 3 steps of 0.1
 * are 0.3 and not 0.30000000000000004. */
#include "ticks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double power_of_ten(int exponent)
{
    double p = 1;
    for (int i = 0; i < exponent; i++)
        p *= 10;
    return p;
}

/* x * 10^exponent */
static double scaled(double x, int exponent)
{
    return exponent < 0 ? x / power_of_ten(-exponent) : x * power_of_ten(exponent);
}

/* The exponent of the first digit of x > 0. */
static int first_digit(double x)
{
    int exponent = (int)floor(log10(x));
    while (scaled(1, exponent) > x)
        exponent--;
    while (scaled(1, exponent + 1) <= x)
        exponent++;
    return exponent;
}

static void write_label(char out[APP_TICK_TEXT], double x, int decimals)
{
    char digits[APP_TICK_TEXT - 4];
    bool negative;
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(x));
    negative = x < 0 && strpbrk(digits, "123456789");
    snprintf(out, APP_TICK_TEXT, "%s%s", negative ? "\xE2\x88\x92" : "", digits);
}

app_ticks app_ticks_choose(double low, double high, int most)
{
    static const double mantissas[] = { 1, 2, 2.5, 5, 10 };
    const int last_mantissa = sizeof mantissas / sizeof *mantissas - 1;
    double largest = fmax(fabs(low), fabs(high)), span = high - low, step;
    int exponent = first_digit(span / most), m = 0, decimals;
    app_ticks t = { 0 };
    while (m < last_mantissa && scaled(mantissas[m], exponent) * most < span)
        m++;
    step = scaled(mantissas[m], exponent);
    if (largest >= 1e5 || largest < 1e-3)
        t.exponent = first_digit(largest);
    decimals = t.exponent - exponent - (mantissas[m] == 10) + (mantissas[m] == 2.5);
    decimals = decimals < 0 ? 0 : decimals > 15 ? 15 : decimals;
    for (double i = ceil(low / step - 1e-9); i <= high / step + 1e-9 && t.count < APP_MOST_TICKS; i++) {
        t.at[t.count] = scaled(i * mantissas[m], exponent);
        write_label(t.label[t.count++], scaled(i * mantissas[m], exponent - t.exponent), decimals);
    }
    return t;
}

void app_axis_range(double *low, double *high)
{
    double largest = fmax(fabs(*low), fabs(*high)), room = 0.05 * (*high - *low);
    if (*low > *high) {
        *low = 0;
        *high = 1;
        return;
    }
    if (*high - *low <= 1e-9 * largest || *high == *low)
        room = largest > 1e-290 ? 0.05 * largest : 0.5;
    *low -= room;
    *high += room;
}
