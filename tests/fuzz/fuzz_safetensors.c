/* Fuzz entry: the safetensors reader refuses or gives tensors that are all there, under names that are found. */
#include "../../tensor/files/files.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const leat_safetensors *f, size_t size)
{
    volatile leat_real last;
    for (int64_t i = 0; i < f->count; i++) {
        const leat_tensor *t = &f->entries[i].tensor;
        int64_t count = leat_shape_count(&t->shape);
        if (count < 0 || (uint64_t)count > size || leat_safetensors_find(f, f->entries[i].name) != t)
            abort();
        for (int64_t k = 0; k < count; k++)
            last = t->data[k];
    }
    for (int64_t i = 0; i < f->metadata_count; i++)
        if (leat_safetensors_metadata(f, f->metadata[i][0]) != f->metadata[i][1])
            abort();
    (void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_arena arena, scratch;
    leat_safetensors f;
    leat_status s = { 0 };

    leat_arena_init(&arena, NULL);
    leat_arena_init(&scratch, NULL);
    if (leat_safetensors_parse((const char *)data, size, "fuzz", &scratch, &arena, &f, &s) == LEAT_OK)
        check(&f, size);
    else if (arena.in_use != 0 || s.code != LEAT_EFORMAT)
        abort();
    if (scratch.in_use != 0)
        abort();
    leat_arena_free(&arena);
    leat_arena_free(&scratch);
    return 0;
}
