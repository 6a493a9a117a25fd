/* Fuzz entry: the reader of tables as text gives the same numbers, or the same refusal, however the bytes arrive, and the
 * numbers are finite. */
#include "../../tensor/files/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    leat_arena arena;
    leat_status status;
    int64_t rows, columns;
    leat_real *values;
} outcome;

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Reads it all, `step` bytes and `most` rows at a time. */
static void read_text(const uint8_t *data, size_t size, size_t step, int64_t most, const leat_table_opts *o,
                      outcome *out)
{
    leat_tensor block;
    int64_t count = 0;

    *out = (outcome){ 0 };
    leat_arena_init(&out->arena, NULL);
    leat_table *t = leat_table_open_text((const char *)data, size, step, o, &out->status);
    require((t == NULL) == (out->status.code != LEAT_OK));
    if (!t)
        return;
    out->columns = leat_table_columns(t);
    require(out->columns >= 1);
    out->values = leat_arena_alloc(&out->arena, (size + 1) * sizeof(leat_real)); /* a number takes a byte */
    while ((count = leat_table_next(t, most, &block, &out->status)) > 0) {
        require(count <= most && (size_t)((out->rows + count) * out->columns) <= size + 1);
        for (int64_t i = 0; i < count * out->columns; i++) {
            require(isfinite(block.data[i]));
            out->values[out->rows * out->columns + i] = block.data[i];
        }
        out->rows += count;
    }
    require((count < 0) == (out->status.code != LEAT_OK));
    leat_table_close(t);
}

static void compare(const uint8_t *data, size_t size, const leat_table_opts *o)
{
    size_t step = 1 + (size * 7 + (size > 0 ? data[size / 2] : 0u)) % 61;
    outcome whole, parts;

    read_text(data, size, size + 1, 1, o, &whole);
    read_text(data, size, step, 1, o, &parts);
    require(whole.status.code == parts.status.code && strcmp(whole.status.message, parts.status.message) == 0);
    require(strchr(whole.status.message, '\n') == NULL);
    require(whole.rows == parts.rows && whole.columns == parts.columns);
    require(whole.rows == 0 ||
            memcmp(whole.values, parts.values, (size_t)(whole.rows * whole.columns) * sizeof(leat_real)) == 0);
    leat_arena_free(&whole.arena);
    leat_arena_free(&parts.arena);
    read_text(data, size, step, 3, o, &parts);
    require(whole.status.code == parts.status.code && parts.rows <= whole.rows);
    leat_arena_free(&parts.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const known[] = { "1", "0" };
    static const leat_table_opts opts[] = {
        { .columns = NULL },
        { .columns = "2,1", .header = LEAT_HEADER_YES },
        { .columns = "x", .first_row = 1, .last_row = 4 },
        { .columns = "2-", .header = LEAT_HEADER_NO, .first_row = 2 },
        { .decimal = ',', .known_names = known, .known_count = 2 },
        { .columns = "#2", .delimiter = '|' },
    };
    if (size >= 2 && memcmp(data, "\x1F\x8B", 2) == 0)
        return 0; /* a few bytes may be many rows: fuzz_gz.c */
    for (size_t i = 0; i < sizeof opts / sizeof *opts; i++)
        compare(data, size, &opts[i]);
    return 0;
}
