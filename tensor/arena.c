/*
 * Arenas: chunks in a list, the current one filled from the front.
 *
 *     first -> [chunk | block | block | ... ] -> [chunk | block | free ......] -> [chunk, empty] -> NULL
 *                                                  ^ current
 *
 * Chunks behind the current one are empty and are used before a new one is asked for. A reset that finds more than one
 * chunk replaces them by one as large as the peak, so a steady loop ends up with a single chunk. Under AddressSanitizer
 * what is not handed out is poisoned, so that a block used after its time is caught.
 */
#include "tensor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGNMENT = 64, SMALLEST_CHUNK = 16 << 10 };

typedef struct leat_chunk {
    struct leat_chunk *next;
    char *data; /* aligned */
    size_t size, used;
} leat_chunk;

static void *malloc_allocate(void *user, size_t bytes)
{
    (void)user;
    return malloc(bytes);
}

static void malloc_release(void *user, void *block)
{
    (void)user;
    free(block);
}

static const leat_allocator malloc_allocator = { malloc_allocate, malloc_release, NULL };

void leat_arena_init(leat_arena *a, const leat_allocator *allocator)
{
    *a = (leat_arena){ .allocator = allocator ? allocator : &malloc_allocator };
}

static leat_chunk *chunk_new(leat_arena *a, size_t size)
{
    if (size > (size_t)PTRDIFF_MAX - sizeof(leat_chunk) - ALIGNMENT)
        return NULL;
    leat_chunk *c = a->allocator->allocate(a->allocator->user, sizeof *c + ALIGNMENT - 1 + size);
    if (!c)
        return NULL;
    uintptr_t start = (uintptr_t)(c + 1);
    size_t pad = (ALIGNMENT - start % ALIGNMENT) % ALIGNMENT;
    *c = (leat_chunk){ .data = (char *)(c + 1) + pad, .size = size };
    ASAN_POISON_MEMORY_REGION(c->data, c->size);
    return c;
}

static void chunks_release(leat_arena *a, leat_chunk *c)
{
    while (c) {
        leat_chunk *next = c->next;
        ASAN_UNPOISON_MEMORY_REGION(c->data, c->size);
        a->allocator->release(a->allocator->user, c);
        c = next;
    }
}

/* Moves on to a chunk with `bytes` of room: an empty one further on, or a new one after the current. */
static bool chunk_advance(leat_arena *a, size_t bytes)
{
    leat_chunk *c = a->current;
    while (c && c->next && c->next->size < bytes) { /* too small to be of use now: give it back */
        leat_chunk *small = c->next;
        c->next = small->next;
        small->next = NULL;
        chunks_release(a, small);
    }
    if (c && c->next) {
        a->current = c->next;
        return true;
    }
    size_t size = c ? 2 * c->size : SMALLEST_CHUNK; /* doubling keeps the number of chunks logarithmic */
    leat_chunk *fresh = chunk_new(a, size > bytes ? size : bytes);
    if (!fresh)
        return false;
    if (c)
        c->next = fresh;
    else
        a->first = fresh;
    a->current = fresh;
    return true;
}

void *leat_arena_alloc(leat_arena *a, size_t bytes)
{
    if (bytes > (size_t)PTRDIFF_MAX - ALIGNMENT)
        return NULL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes == 0)
        bytes = ALIGNMENT; /* so that every block has an address of its own */
    if (!a->current || a->current->size - a->current->used < bytes) {
        if (!chunk_advance(a, bytes))
            return NULL;
    }
    leat_chunk *c = a->current;
    void *block = c->data + c->used;
    c->used += bytes;
    a->in_use += bytes;
    if (a->in_use > a->peak)
        a->peak = a->in_use;
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    return block;
}

void *leat_arena_zalloc(leat_arena *a, size_t bytes)
{
    void *block = leat_arena_alloc(a, bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

char *leat_arena_format(leat_arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : leat_arena_alloc(a, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

leat_arena_mark leat_arena_save(const leat_arena *a)
{
    return (leat_arena_mark){ a->current, a->current ? a->current->used : 0, a->in_use };
}

void leat_arena_restore(leat_arena *a, leat_arena_mark mark)
{
    leat_chunk *c = mark.chunk ? mark.chunk->next : a->first;
    for (; c;
         c = c->next) { /* to the very end: a chunk that was too small for a block stands empty between full ones */
        if (c->used)
            ASAN_POISON_MEMORY_REGION(c->data, c->size);
        c->used = 0;
    }
    if (mark.chunk) {
        mark.chunk->used = mark.used;
        ASAN_POISON_MEMORY_REGION(mark.chunk->data + mark.used, mark.chunk->size - mark.used);
    }
    a->current = mark.chunk ? mark.chunk : a->first;
    a->in_use = mark.in_use;
}

void leat_arena_reset(leat_arena *a)
{
    leat_arena_restore(a, (leat_arena_mark){ 0 });
    if (!a->first || !a->first->next)
        return;
    leat_chunk *whole = chunk_new(a, a->peak);
    if (!whole)
        return; /* the chunks at hand still serve */
    chunks_release(a, a->first);
    a->first = a->current = whole;
}

void leat_arena_free(leat_arena *a)
{
    chunks_release(a, a->first);
    leat_arena_init(a, a->allocator);
}
