/* Fuzz entry: the .npy reader refuses or gives numbers that are all there. */
#include "../../tensor/files/files.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_arena arena, scratch;
    leat_tensor t;
    leat_status s = { 0 };

    leat_arena_init(&arena, NULL);
    leat_arena_init(&scratch, NULL);
    if (leat_npy_parse((const char *)data, size, "fuzz", &scratch, &arena, &t, &s) == LEAT_OK) {
        volatile leat_real last;
        int64_t count = leat_shape_count(&t.shape);
        if (count < 0 || (uint64_t)count > size)
            abort();
        for (int64_t i = 0; i < count; i++)
            last = t.data[i];
        (void)last;
    } else if (arena.in_use != 0 || s.code != LEAT_EFORMAT) {
        abort();
    }
    if (scratch.in_use != 0)
        abort();
    leat_arena_free(&arena);
    leat_arena_free(&scratch);
    return 0;
}
