/* Fuzz entry: PNG as it comes, and with the checksums of its chunks set right, which chance would not find. */
#include "images.h"
#include "../../tensor/files/inflate.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    parse_images(leat_png_parse, data, size, 24 * 1032);
    memcpy(copy, data, size);
    for (size_t at = 8; at + 12 <= size;) {
        uint8_t *b = copy + at;
        size_t length = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        if (length > size - at - 12)
            break;
        uint32_t sum = __builtin_bswap32(leat_crc32(b + 4, length + 4, 0));
        memcpy(b + 8 + length, &sum, 4);
        at += 12 + length;
    }
    parse_images(leat_png_parse, copy, size, 24 * 1032);
    free(copy);
    return 0;
}
