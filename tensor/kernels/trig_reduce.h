/* Private to tensor: the argument reduction of sin and cos for numbers so large that vmath_trig.h cannot do it. */
#ifndef LEAT_TRIG_REDUCE_H
#define LEAT_TRIG_REDUCE_H

/* x = (n + 4j) pi/2 + r + w for finite x >= 2^16, with n in 0 .. 3, |r| <= pi/4, and w a small part of r's last
 * place. Returns n. */
int leat_trig_reduce(double x, double *r, double *w);

#endif
