/*
 * The double functions of vmath.h, one number at a time, and the inverse of the normal distribution function.
 *
 * The quantile is a ratio of polynomials of degree 7 on each of three ranges, in the manner of Wichura's algorithm AS
 * 241 (1988): in 0.425^2 - (p - 1/2)^2 around the middle, in sqrt(-log(tail)) beyond. The coefficients were fitted for
 * this file, for the least largest relative error (below 1e-16 on each range).
 */
#define LEAT_SIMD_DOUBLE 1
#include "elementary.h"
#include "vmath.h"

double leat_log64(double x)
{
    return v_log(x);
}

double leat_exp64(double x)
{
    return v_exp(x);
}

double leat_log1p64(double x)
{
    double y = 1 + x;
    if (y == 1 || !(y > 0) || isinf(y))
        return y == 1 ? x : v_log(y);
    return v_log(y) + (x - (y - 1)) / y; /* the second term mends the rounding of 1 + x */
}

/* Stirling's series from 10 on, where what follows is below 1e-17; below, Gamma(x) = Gamma(x + n) / (x (x + 1) ..). */
static double series(const double *c, int n, double z)
{
    double q = c[0];
    for (int i = 1; i < n; i++)
        q = fma(q, z, c[i]);
    return q;
}

double leat_lgamma64(double x)
{
    static const double c[] = { 1. / 156, -691. / 360360, 1. / 1188, -1. / 1680, 1. / 1260, -1. / 360, 1. / 12 };
    double product = 1, half_log_2pi = 0.91893853320467274178;
    if (!(x > 0))
        return (double)NAN;
    for (; x < 10; x += 1)
        product *= x;
    return fma(x - 0.5, v_log(x), half_log_2pi - x) + series(c, 7, 1 / (x * x)) / x - v_log(product);
}

double leat_digamma64(double x)
{
    static const double c[] = { -1. / 12, 691. / 32760, -1. / 132, 1. / 240, -1. / 252, 1. / 120, -1. / 12 };
    double sum = 0;
    if (!(x > 0))
        return (double)NAN;
    for (; x < 10; x += 1)
        sum += 1 / x;
    return v_log(x) - 0.5 / x + series(c, 7, 1 / (x * x)) / (x * x) - sum;
}

/* Taylor's series of sin r and cos r for |r| <= pi/4, where what follows is below a quarter of a unit in the last place;
 * the terms behind the first, over r^3 and r^4. */
static double sin_tail(double z)
{
    static const double c[] = { 1. / 355687428096000, -1. / 1307674368000, 1. / 6227020800, -1. / 39916800,
                                1. / 362880,          -1. / 5040,          1. / 120,        -1. / 6 };
    double q = c[0];
    for (int i = 1; i < 8; i++)
        q = fma(q, z, c[i]);
    return q;
}

static double cos_tail(double z)
{
    static const double c[] = { 1. / 20922789888000, -1. / 87178291200, 1. / 479001600, -1. / 3628800,
                                1. / 40320,          -1. / 720,         1. / 24 };
    double q = c[0];
    for (int i = 1; i < 7; i++)
        q = fma(q, z, c[i]);
    return q;
}

/* x = n pi/2 + r + w with |r| <= pi/4 and w what rounding took from r. */
double leat_cos64(double x)
{
    double n = rint(x * 0x1.45f306dc9c883p-1);
    double exact = fma(-n, 0x1.921fb54442d18p+0, x); /* the high half of pi/2; no rounding where r is small */
    double r = fma(-n, 0x1.1a62633145c07p-54, exact);
    double w = fma(-n, 0x1.1a62633145c07p-54, exact - r), z = r * r;
    double quadrant = n - 4 * floor(n / 4), y;
    if (quadrant == 1 || quadrant == 3) { /* sin(r + w) = sin r + w cos r */
        y = r + fma(r * z, sin_tail(z), fma(-0.5 * z, w, w));
    } else { /* cos(r + w) = cos r - w sin r; 1 - z/2 rounds, and what it lost is added to the rest */
        double half = 0.5 * z, first = 1 - half;
        y = first + (fma(z * z, cos_tail(z), fma(-r, w, (1 - first) - half)));
    }
    return quadrant == 1 || quadrant == 2 ? -y : y;
}

typedef struct ratio {
    double top[8], bottom[8];
} ratio;

static const ratio middle = {
    { 2508.4967600147716, 33424.39172140656, 67256.25582923599, 45917.21524429114, 13730.726949235557,
      1971.5066855463829, 133.13906958375892, 3.3871328727963665 },
    { 5225.382698033034, 28724.222546245248, 39302.79957438298, 21211.782629221372, 5393.845811688791,
      687.1598242230368, 42.31256359026426, 1 },
};
static const ratio tail = {
    { 0.0007793499824623945, 0.02286849181518188, 0.24314464862461604, 1.2760234647433446, 3.658662022747788,
      5.779201192302419, 4.63349603927125, 1.4234371107496837 },
    { 1.051072840071418e-09, 0.0005509911746295979, 0.015295544181439136, 0.14892266373166196, 0.692570648783684,
      1.6805402459355057, 2.0554103359090434, 1 },
};
static const ratio far_tail = {
    { 1.998478416419163e-07, 2.7006586581725774e-05, 0.001239299710646111, 0.026484833468287845, 0.2962261666755714,
      1.7836756108272456, 5.462251818665403, 6.657904643501104 },
    { 2.010437224230134e-15, 1.4131284262058107e-07, 1.8390319066884176e-05, 0.000784853969710993, 0.014851777852164147,
      0.13680786045528737, 0.5996019400410009, 1 },
};

static double evaluate(const ratio *r, double t)
{
    double top = r->top[0], bottom = r->bottom[0];
    for (int i = 1; i < 8; i++) {
        top = fma(top, t, r->top[i]);
        bottom = fma(bottom, t, r->bottom[i]);
    }
    return top / bottom;
}

double leat_normal_quantile64(double p)
{
    double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * evaluate(&middle, fma(-q, q, 0.180625));
    if (!(p > 0 && p < 1))
        return p == 0 ? -(double)INFINITY : p == 1 ? (double)INFINITY : (double)NAN;
    double s = sqrt(-v_log(q < 0 ? p : 1 - p));
    double x = s <= 5 ? evaluate(&tail, s - 1.6) : evaluate(&far_tail, s - 5);
    return q < 0 ? -x : x;
}
