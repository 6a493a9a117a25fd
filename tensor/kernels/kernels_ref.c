/*
 * The reference kernels: plain C, one element at a time. What every other set is tested against, and what runs where
 * there is no other.
 */
#define LEAT_SIMD_KERNELS leat_kernels_ref
#include "kernels_impl.h"
