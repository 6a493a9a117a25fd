/* Shapes: counting with every overflow checked, broadcasting, and text for messages. */
#include "tensor.h"

#include <stdio.h>

leat_shape leat_shape_of(int rank, const int64_t *size)
{
    leat_shape s = { .rank = rank };
    for (int i = 0; i < rank && i < LEAT_MAX_RANK; i++)
        s.size[i] = size[i];
    return s;
}

bool leat_shape_equal(const leat_shape *a, const leat_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->size[i] != b->size[i])
            return false;
    }
    return true;
}

int64_t leat_shape_count(const leat_shape *s)
{
    if (s->rank < 0 || s->rank > LEAT_MAX_RANK)
        return -1;
    int64_t most = PTRDIFF_MAX / (int64_t)sizeof(leat_real), count = 1;
    bool empty = false;
    for (int i = 0; i < s->rank; i++) {
        if (s->size[i] < 0)
            return -1;
        if (s->size[i] == 0)
            empty = true;
        else if (count > most / s->size[i])
            return -1;
        else
            count *= s->size[i];
    }
    return empty ? 0 : count;
}

bool leat_shape_broadcast(const leat_shape *a, const leat_shape *b, leat_shape *out)
{
    leat_shape s = { .rank = a->rank > b->rank ? a->rank : b->rank };
    for (int i = 1; i <= s.rank; i++) {
        int64_t m = i <= a->rank ? a->size[a->rank - i] : 1;
        int64_t n = i <= b->rank ? b->size[b->rank - i] : 1;
        if (m != n && m != 1 && n != 1)
            return false;
        s.size[s.rank - i] = m == 1 ? n : m;
    }
    *out = s;
    return true;
}

const char *leat_shape_print(const leat_shape *s, char text[LEAT_SHAPE_TEXT])
{
    int used = snprintf(text, LEAT_SHAPE_TEXT, "[");
    for (int i = 0; i < s->rank && i < LEAT_MAX_RANK; i++)
        used += snprintf(text + used, (size_t)(LEAT_SHAPE_TEXT - used), i ? ",%lld" : "%lld", (long long)s->size[i]);
    snprintf(text + used, (size_t)(LEAT_SHAPE_TEXT - used), "]");
    return text;
}

leat_tensor leat_tensor_new(leat_arena *a, leat_shape shape, leat_status *s)
{
    leat_tensor t = { .shape = shape };
    int64_t count = leat_shape_count(&shape);
    char text[LEAT_SHAPE_TEXT];
    if (count < 0)
        leat_fail(s, LEAT_ENOMEM, "no memory could hold a tensor of shape %s", leat_shape_print(&shape, text));
    else if (!(t.data = leat_arena_alloc(a, (size_t)count * sizeof(leat_real))))
        leat_fail(s, LEAT_ENOMEM, "out of memory for a tensor of shape %s", leat_shape_print(&shape, text));
    return t;
}
