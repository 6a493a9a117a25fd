/* The data sets that programs train on. */
#ifndef APPS_COMMON_DATA_H
#define APPS_COMMON_DATA_H

#include "../../tensor/tensor.h"

/*
 * Two moons, [n, 2], as scikit-learn's make_moons: floor(n / 2) points on the upper half circle (cos t, sin t), the
 * rest on the lower one (1 - cos t, 1/2 - sin t), t spaced evenly over 0 .. pi on each; every coordinate has Gaussian
 * noise of standard deviation `noise` added. Rows come in random order.
 *
 * Takes 2n normals, then a permutation, from `r`. n is at least 1, noise at least 0.
 */
leat_code app_data_moons(int64_t n, double noise, leat_rng *r, leat_arena *a, leat_tensor *out, leat_status *s);

/* The same with the rows in order: the upper moon, then the lower one. Takes 2n normals. */
leat_code app_data_moons_in_order(int64_t n, double noise, leat_rng *r, leat_arena *a, leat_tensor *out,
                                  leat_status *s);

/* A data set from a .npy or a .csv file, by its name: [n, columns], n at least 1; a vector of n numbers becomes [n, 1].
 * Values that are not finite are refused with their row and column (from 1). */
leat_code app_data_load(const char *path, leat_arena *a, leat_tensor *out, leat_status *s);

#endif
