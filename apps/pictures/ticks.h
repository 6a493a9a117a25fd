/* Where the numbers along an axis stand, and how they are written. */
#ifndef APPS_COMMON_TICKS_H
#define APPS_COMMON_TICKS_H

#include <stdbool.h>

enum { APP_MOST_TICKS = 12, APP_TICK_TEXT = 40 };

typedef struct app_ticks {
    int count;
    double at[APP_MOST_TICKS];
    char label[APP_MOST_TICKS][APP_TICK_TEXT]; /* UTF-8, with a real minus sign */
    int exponent;                              /* labels are in units of 10^exponent */
} app_ticks;

/* Multiples of 1, 2, 2.5 or 5 times a power of ten within low .. high (finite, low < high): the densest of them with at
 * most `most` steps. Numbers of 100000 and above, or below 0.001, are written as multiples of a power of ten. */
app_ticks app_ticks_choose(double low, double high, int most);

/* The range of an axis for data from low to high: 5 % wider at both ends. Data of a single value gets some room around
 * it; low > high, no data at all, gives 0 .. 1. */
void app_axis_range(double *low, double *high);

#endif
