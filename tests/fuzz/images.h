/* What the fuzz entries of images share: a file is refused and leaves nothing behind, or all its pixels are there, and
 * memory is bounded by its size: a byte becomes at most 1032 compressed ones, and a bit of those three bytes of a palette. */
#ifndef LEAT_TESTS_FUZZ_IMAGES_H
#define LEAT_TESTS_FUZZ_IMAGES_H

#include "../../tensor/files/images.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_images(leat_images_parser *parse, const uint8_t *data, size_t size, size_t most)
{
    leat_arena arena, scratch;
    leat_images m;
    leat_status s = { 0 };

    leat_arena_init(&arena, NULL);
    leat_arena_init(&scratch, NULL);
    if (parse((const char *)data, size, "fuzz", &scratch, &arena, &m, &s) == LEAT_OK) {
        volatile uint8_t last;
        size_t count = (size_t)m.count * (size_t)m.height * (size_t)m.width * (size_t)m.channels;
        for (size_t i = 0; i < count; i++)
            last = m.pixels[i];
        (void)last;
        if (count < 1)
            abort();
    } else if (arena.in_use != 0 || (s.code != LEAT_EFORMAT && s.code != LEAT_ESHAPE)) {
        abort();
    }
    if (scratch.in_use != 0 || arena.peak > most * (size + 64) || scratch.peak > most * size + (256 << 10))
        abort();
    leat_arena_free(&arena);
    leat_arena_free(&scratch);
}

#endif
