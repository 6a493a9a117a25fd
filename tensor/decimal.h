/* Decimal text to double and back, the same in every locale. */
#ifndef LEAT_TENSOR_DECIMAL_H
#define LEAT_TENSOR_DECIMAL_H

#include "tensor.h"

/* The double nearest to a number that follows JSON's grammar (-12.5e-3); infinite when it is out of range. */
double leat_decimal_read(const char *text, size_t size);

/* The shortest decimal that reads back as the same double, always with a point or an exponent ("2.0", "1e-07").
 * `x` is finite. Returns the length; `text` ends in a zero byte. */
#define LEAT_DECIMAL_TEXT 32
size_t leat_decimal_print(double x, char text[LEAT_DECIMAL_TEXT]);

#endif
