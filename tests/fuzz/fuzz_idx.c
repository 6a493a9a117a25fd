/* Fuzz entry: arrays of images, in IDX (plain and compressed) and .npy. */
#include "images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] != 0x89 && data[0] != 'P') /* which have entries of their own */
        parse_images(leat_images_parse, data, size, data[0] == 0x1F ? 1032 : 1);
    return 0;
}
