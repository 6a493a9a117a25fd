/*
 * Private to the library: the elementary functions for its own bookkeeping, in double whatever leat_real is, with the
 * same bits everywhere. Within 2 units in the last place; the quantile within a relative error of 1e-15.
 */
#ifndef LEAT_ELEMENTARY_H
#define LEAT_ELEMENTARY_H

double leat_log64(double x);
double leat_log1p64(double x);
double leat_exp64(double x);
double leat_cos64(double x); /* |x| up to 1e5; beyond, the error grows with |x| */

/* log Gamma(x) and its derivative, for x > 0, within 1e-14 of max(1, |the result|); NaN elsewhere. */
double leat_lgamma64(double x);
double leat_digamma64(double x);

/* x with P(N(0, 1) <= x) = p; infinite at p = 0 and 1, NaN outside. */
double leat_normal_quantile64(double p);

#endif
