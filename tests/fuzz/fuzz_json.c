/* Fuzz entry: what the JSON reader accepts, the writer can write, and it reads back as the same tree. */
#include "../../tensor/files/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_tree(leat_json_writer *w, const leat_json *v)
{
    switch (v->kind) {
    case LEAT_JSON_NULL:
        leat_json_put_null(w);
        break;
    case LEAT_JSON_BOOL:
        leat_json_put_bool(w, v->boolean);
        break;
    case LEAT_JSON_NUMBER:
        if (v->is_integer)
            leat_json_put_int(w, v->integer);
        else
            leat_json_put_number(w, v->number);
        break;
    case LEAT_JSON_STRING:
        leat_json_put_text(w, v->text);
        break;
    case LEAT_JSON_ARRAY:
    case LEAT_JSON_OBJECT:
        leat_json_open(w, v->kind == LEAT_JSON_ARRAY ? '[' : '{');
        for (const leat_json *m = v->first; m; m = m->next) {
            if (m->key)
                leat_json_key(w, m->key);
            write_tree(w, m);
        }
        leat_json_close(w, v->kind == LEAT_JSON_ARRAY ? ']' : '}');
        break;
    }
}

static bool same(const leat_json *a, const leat_json *b)
{
    if (a->kind != b->kind || a->count != b->count || !a->key != !b->key || (a->key && strcmp(a->key, b->key) != 0))
        return false;
    if (a->kind == LEAT_JSON_BOOL)
        return a->boolean == b->boolean;
    if (a->kind == LEAT_JSON_NUMBER) /* an integer written as one has no -0 */
        return a->is_integer ? b->is_integer && a->integer == b->integer
                             : memcmp(&a->number, &b->number, sizeof a->number) == 0;
    if (a->kind == LEAT_JSON_STRING)
        return strcmp(a->text, b->text) == 0;
    if (a->kind == LEAT_JSON_NULL)
        return true;
    for (const leat_json *x = a->first, *y = b->first; x; x = x->next, y = y->next)
        if (!same(x, y) || (x->key && leat_json_get(a, x->key) != x))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_arena arena;
    leat_json *tree, *again;
    leat_status s = { 0 };
    char *text;

    leat_arena_init(&arena, NULL);
    if (leat_json_read((const char *)data, size, "fuzz", 0, &arena, &tree, &s) == LEAT_OK) {
        leat_json_writer w = leat_json_writer_new(&arena);
        write_tree(&w, tree);
        if (leat_json_finish(&w, &text, &size, &s) || leat_json_read(text, size, "fuzz", 0, &arena, &again, &s) ||
            !same(tree, again))
            abort();
    } else if (arena.in_use != 0 || s.code != LEAT_EFORMAT) {
        abort();
    }
    leat_arena_free(&arena);
    return 0;
}
