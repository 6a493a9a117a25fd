/* Fuzz entry: PGM and PPM. */
#include "images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_images(leat_pnm_parse, data, size, 1);
    return 0;
}
