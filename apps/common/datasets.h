/* The toy data sets that programs train on, by name. */
#ifndef APPS_COMMON_DATA_H
#define APPS_COMMON_DATA_H

#include "../../tensor/tensor.h"

/*
 * A toy set: [n, 2], n at least 1, every coordinate with Gaussian noise of standard deviation `noise` added, at least 0.
 * How many numbers a set takes from `r` does not depend on the noise: 2n normals for the noise in each, and besides
 *
 *   moons         a permutation. As scikit-learn's make_moons: floor(n / 2) points on the upper half circle (cos t,
 *                 sin t), the rest on the lower one (1 - cos t, 1/2 - sin t), t spaced evenly over 0 .. pi on each.
 *   circles       a permutation. As make_circles with factor 1/2, times 3: floor(n / 2) points spaced evenly on the
 *                 circle of radius 3, the rest on that of radius 3/2.
 *   blobs         n numbers below 8. Eight points evenly on the circle of radius 4 / 1.414; with its usual noise,
 *                 0.5 / 1.414, the eight Gaussians of FFJORD.
 *   pinwheel      2n normals and a permutation. FFJORD's: Gaussians of deviations 0.3 and 0.1 around (1, 0), turned into
 *                 five arms of equal size, each by 0.25 exp(x) more, times 2.
 *   checkerboard  2n uniforms and n numbers below 2. Uniform on the dark squares of a 4 x 4 board over -4 .. 4.
 *   spirals       3n uniforms and a permutation. FFJORD's: floor(n / 2) points at t (-cos t, sin t), t = 3 pi sqrt(u), each
 *                 moved by up to 1/2, and the rest opposite, divided by 3.
 *   swiss-roll    n uniforms. As make_swiss_roll seen along the roll: t (cos t, sin t) / 5, t uniform over
 *                 3 pi / 2 .. 9 pi / 2.
 *   s-curve       n uniforms. As make_s_curve seen from the side: (sin t, sign(t) (cos t - 1)), t uniform over
 *                 -3 pi / 2 .. 3 pi / 2.
 *
 * Rows come in random order.
 */
typedef leat_code app_data_fn(int64_t n, double noise, leat_rng *r, leat_arena *a, leat_tensor *out, leat_status *s);

app_data_fn app_data_moons, app_data_circles, app_data_blobs, app_data_pinwheel, app_data_checkerboard,
    app_data_spirals, app_data_swiss_roll, app_data_s_curve;

/* Moons in order: the upper one, then the lower one. Takes 2n normals. */
app_data_fn app_data_moons_in_order;

typedef struct app_data_set {
    const char *name;
    app_data_fn *generate;
    double noise; /* as is usual for it */
} app_data_set;

extern const app_data_set app_data_sets[]; /* ends with a name that is NULL */

const app_data_set *app_data_find(const char *name); /* NULL: there is none of that name */

#endif
