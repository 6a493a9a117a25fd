/* Numbers as files hold them, made into double or leat_real. */
#ifndef LEAT_TENSOR_CONVERT_H
#define LEAT_TENSOR_CONVERT_H

#include "../tensor.h"

typedef enum leat_dtype {
    LEAT_DTYPE_F64,
    LEAT_DTYPE_F32,
    LEAT_DTYPE_F16,
    LEAT_DTYPE_BF16,
    LEAT_DTYPE_I64,
    LEAT_DTYPE_I32,
    LEAT_DTYPE_I16,
    LEAT_DTYPE_I8,
    LEAT_DTYPE_U64,
    LEAT_DTYPE_U32,
    LEAT_DTYPE_U16,
    LEAT_DTYPE_U8,
    LEAT_DTYPE_BOOL,
} leat_dtype;

#define LEAT_DTYPE_REAL (sizeof(leat_real) == 8 ? LEAT_DTYPE_F64 : LEAT_DTYPE_F32)

size_t leat_dtype_size(leat_dtype type);

/* n numbers, little-endian or with `big_endian` the other way, at any alignment. Rounds to nearest; what leat_real
 * cannot hold becomes infinite; of a boolean, all but 0 is 1. */
void leat_convert(leat_dtype type, bool big_endian, const char *in, int64_t n, leat_real *out);
void leat_convert_doubles(leat_dtype type, bool big_endian, const char *in, int64_t n, double *out);

#endif
