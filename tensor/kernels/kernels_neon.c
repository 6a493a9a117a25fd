/*
 * The kernels for NEON. Every 64-bit ARM has it, so there is no target to name.
 */
#include "kernels.h"

#ifdef LEAT_HAVE_NEON

#define LEAT_SIMD_NEON    1
#define LEAT_SIMD_KERNELS leat_kernels_neon
#include "kernels_impl.h"

#endif
