/*
 * Numbers as files hold them, made into leat_real.
 *
 * Little-endian input is read element by element through memcpy, for its alignment is anything. Big-endian input is
 * turned round in blocks first.
 */
#include "convert.h"
#include "files.h"

#include <string.h>

static const unsigned char sizes[] = {
    [LEAT_DTYPE_F64] = 8, [LEAT_DTYPE_F32] = 4, [LEAT_DTYPE_F16] = 2,  [LEAT_DTYPE_BF16] = 2, [LEAT_DTYPE_I64] = 8,
    [LEAT_DTYPE_I32] = 4, [LEAT_DTYPE_I16] = 2, [LEAT_DTYPE_I8] = 1,   [LEAT_DTYPE_U64] = 8,  [LEAT_DTYPE_U32] = 4,
    [LEAT_DTYPE_U16] = 2, [LEAT_DTYPE_U8] = 1,  [LEAT_DTYPE_BOOL] = 1,
};

size_t leat_dtype_size(leat_dtype type)
{
    return sizes[type];
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. Every value is a float. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1F, fraction = h & 0x3FF;
    if (exponent == 0) {
        float x = (float)fraction * 0x1p-24f; /* zero and subnormals */
        return sign ? -x : x;
    }
    return from_bits(sign | (exponent == 0x1F ? 0xFFu : exponent + 112) << 23 | fraction << 13);
}

/* bfloat16 is the upper half of a float. */
static float bfloat_to_float(uint16_t b)
{
    return from_bits((uint32_t)b << 16);
}

#define CONVERT(NAME, TYPE, VALUE)                                                                                     \
    static void NAME(const char *in, int64_t n, leat_real *out)                                                        \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            TYPE x;                                                                                                    \
            memcpy(&x, in + (size_t)i * sizeof x, sizeof x);                                                           \
            out[i] = (leat_real)(VALUE);                                                                               \
        }                                                                                                              \
    }

CONVERT(from_f64, double, x)
CONVERT(from_f32, float, x)
CONVERT(from_f16, uint16_t, half_to_float(x))
CONVERT(from_bf16, uint16_t, bfloat_to_float(x))
CONVERT(from_i64, int64_t, x)
CONVERT(from_i32, int32_t, x)
CONVERT(from_i16, int16_t, x)
CONVERT(from_i8, int8_t, x)
CONVERT(from_u64, uint64_t, x)
CONVERT(from_u32, uint32_t, x)
CONVERT(from_u16, uint16_t, x)
CONVERT(from_u8, uint8_t, x)
CONVERT(from_bool, uint8_t, x != 0)

static void (*const converters[])(const char *, int64_t, leat_real *) = {
    [LEAT_DTYPE_F64] = from_f64,   [LEAT_DTYPE_F32] = from_f32, [LEAT_DTYPE_F16] = from_f16,
    [LEAT_DTYPE_BF16] = from_bf16, [LEAT_DTYPE_I64] = from_i64, [LEAT_DTYPE_I32] = from_i32,
    [LEAT_DTYPE_I16] = from_i16,   [LEAT_DTYPE_I8] = from_i8,   [LEAT_DTYPE_U64] = from_u64,
    [LEAT_DTYPE_U32] = from_u32,   [LEAT_DTYPE_U16] = from_u16, [LEAT_DTYPE_U8] = from_u8,
    [LEAT_DTYPE_BOOL] = from_bool,
};

static void turn_round(const char *in, size_t n, size_t size, char *out)
{
    for (size_t i = 0; i < n * size; i += size)
        for (size_t j = 0; j < size; j++)
            out[i + j] = in[i + size - 1 - j];
}

void leat_convert(leat_dtype type, bool big_endian, const char *in, int64_t n, leat_real *out)
{
    enum { BLOCK = 64 };
    char turned[BLOCK * 8];
    size_t size = sizes[type];

    if (n == 0)
        return;
    if (!big_endian || size == 1) {
        if (type == LEAT_DTYPE_REAL)
            memcpy(out, in, (size_t)n * size); /* keeps the bits of a NaN */
        else
            converters[type](in, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t m = n - i < BLOCK ? n - i : BLOCK;
        turn_round(in + (size_t)i * size, (size_t)m, size, turned);
        leat_convert(type, false, turned, m, out + i);
    }
}
