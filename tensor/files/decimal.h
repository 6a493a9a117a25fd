/* Decimal text to binary and back, the same in every locale. Reading rounds to the nearest number, ties to even. */
#ifndef LEAT_TENSOR_DECIMAL_H
#define LEAT_TENSOR_DECIMAL_H

#include "../tensor.h"

/* The double nearest to a number that follows JSON's grammar (-12.5e-3); infinite when it is out of range. */
double leat_decimal_read(const char *text, size_t size);

/* The number at the beginning of text[0 .. size): [sign] digits [. digits] [e [sign] digits], with a digit on at least
 * one side of the point. Returns its length, 0 when there is none. Out of range it is infinite. `single`: the nearest
 * float, rounded from the decimal, not by way of double. */
size_t leat_decimal_parse(const char *text, size_t size, bool single, double *out);

/* digits * 10^exponent as the nearest double, or as the nearest float when `single`. */
double leat_decimal_nearest(uint64_t digits, int64_t exponent, bool single);

/* The shortest decimal that reads back as the same double, always with a point or an exponent ("2.0", "1e-07").
 * `x` is finite. Returns the length; `text` ends in a zero byte. */
#define LEAT_DECIMAL_TEXT 32
size_t leat_decimal_print(double x, char text[LEAT_DECIMAL_TEXT]);

/* The same without a point where none is needed ("2"); shortest for a float when `single`. Also nan, inf and -inf. */
size_t leat_decimal_print_plain(double x, bool single, char text[LEAT_DECIMAL_TEXT]);

#endif
