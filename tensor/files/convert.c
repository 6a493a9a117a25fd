/*
 * Numbers as files hold them, made into double, and into leat_real.
 *
 * Little-endian input is read element by element through memcpy, for its alignment is anything. Big-endian input is
 * turned round in blocks first.
 */
#include "convert.h"
#include "files.h"

#include <string.h>

enum { BLOCK = 64 };

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

/* Each dtype with its C type and its value; CONVERT makes functions to double and to leat_real, rounding once. */
#define DTYPES(X)                                                                                                      \
    X(F64, double, x)                                                                                                  \
    X(F32, float, x)                                                                                                   \
    X(F16, uint16_t, half_to_float(x))                                                                                 \
    X(BF16, uint16_t, bfloat_to_float(x))                                                                              \
    X(I64, int64_t, x)                                                                                                 \
    X(I32, int32_t, x)                                                                                                 \
    X(I16, int16_t, x)                                                                                                 \
    X(I8, int8_t, x)                                                                                                   \
    X(U64, uint64_t, x)                                                                                                \
    X(U32, uint32_t, x)                                                                                                \
    X(U16, uint16_t, x)                                                                                                \
    X(U8, uint8_t, x)                                                                                                  \
    X(BOOL, uint8_t, x != 0)

#define CONVERT(NAME, TO, TYPE, VALUE)                                                                                 \
    static void NAME(const char *in, int64_t n, TO *out)                                                               \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            TYPE x;                                                                                                    \
            memcpy(&x, in + (size_t)i * sizeof x, sizeof x);                                                           \
            out[i] = (TO)(VALUE);                                                                                      \
        }                                                                                                              \
    }
#define CONVERT_BOTH(NAME, TYPE, VALUE)                                                                                \
    CONVERT(NAME##_to_double, double, TYPE, VALUE)                                                                     \
    CONVERT(NAME##_to_real, leat_real, TYPE, VALUE)
DTYPES(CONVERT_BOTH)

#define DOUBLE_ROW(NAME, TYPE, VALUE) [LEAT_DTYPE_##NAME] = NAME##_to_double,
static void (*const to_double[])(const char *, int64_t, double *) = { DTYPES(DOUBLE_ROW) };

#define REAL_ROW(NAME, TYPE, VALUE) [LEAT_DTYPE_##NAME] = NAME##_to_real,
static void (*const to_real[])(const char *, int64_t, leat_real *) = { DTYPES(REAL_ROW) };

static void turn_round(const char *in, size_t n, size_t size, char *out)
{
    for (size_t i = 0; i < n * size; i += size)
        for (size_t j = 0; j < size; j++)
            out[i + j] = in[i + size - 1 - j];
}

void leat_convert_doubles(leat_dtype type, bool big_endian, const char *in, int64_t n, double *out)
{
    char turned[BLOCK * 8];
    size_t size = sizes[type];
    if (!big_endian) {
        to_double[type](in, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t m = n - i < BLOCK ? n - i : BLOCK;
        turn_round(in + (size_t)i * size, (size_t)m, size, turned);
        to_double[type](turned, m, out + i);
    }
}

void leat_convert(leat_dtype type, bool big_endian, const char *in, int64_t n, leat_real *out)
{
    char turned[BLOCK * 8];
    size_t size = sizes[type];
    if (!big_endian && type == LEAT_DTYPE_REAL && n > 0)
        memcpy(out, in, (size_t)n * size); /* keeps the bits of a NaN */
    else if (!big_endian)
        to_real[type](in, n, out);
    for (int64_t i = 0; big_endian && i < n; i += BLOCK) {
        int64_t m = n - i < BLOCK ? n - i : BLOCK;
        turn_round(in + (size_t)i * size, (size_t)m, size, turned);
        to_real[type](turned, m, out + i);
    }
}
