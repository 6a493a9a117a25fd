/* Lossless compression in the zlib format (RFC 1950, RFC 1951), as PNG files need it. */
#ifndef APPS_COMMON_DEFLATE_H
#define APPS_COMMON_DEFLATE_H

#include "../common/text.h"

/* Appends the compressed bytes to `out`, which also says whether memory ran out. Same input, same output. */
void app_zlib_compress(app_text *out, const uint8_t *bytes, size_t size);

#endif
