/*
 * The kernels over simd_wide.h. tests/meson.build compiles the tests of kernels with leat_kernels_all renamed to the
 * function below, so that they compare this table with the reference.
 */
#define LEAT_SIMD_WIDE    1
#define LEAT_SIMD_KERNELS wide_kernels
#include "../../tensor/kernels/kernels_impl.h"

const leat_kernels *const *wide_kernels_all(void);

const leat_kernels *const *wide_kernels_all(void)
{
    static const leat_kernels *const sets[] = { &leat_kernels_ref, &wide_kernels, NULL };
    return sets;
}
