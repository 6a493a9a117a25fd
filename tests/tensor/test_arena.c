/* Arenas: alignment, marks, steady state without the allocator, and running out of memory at every place. */
#include <criterion/criterion.h>

#include "../../tensor/tensor.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct counting {
    int allowed, calls, live;
} counting;

static void *count_allocate(void *user, size_t bytes)
{
    counting *c = user;
    c->calls++;
    if (c->allowed >= 0 && c->calls > c->allowed)
        return NULL;
    c->live++;
    return malloc(bytes);
}

static void count_release(void *user, void *block)
{
    counting *c = user;
    c->live -= block != NULL;
    free(block);
}

Test(arena, blocks_are_aligned_and_do_not_overlap)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    char *previous = NULL;
    for (size_t bytes = 0; bytes < 400; bytes += 7) {
        char *block = leat_arena_alloc(&a, bytes);
        cr_assert_not_null(block);
        cr_assert_eq((uintptr_t)block % 64, 0);
        cr_assert(previous != block);
        memset(block, 0xab, bytes);
        previous = block;
    }
    leat_arena_free(&a);
}

Test(arena, zalloc_is_zeroed_even_in_used_memory)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    memset(leat_arena_alloc(&a, 4096), 0xff, 4096);
    leat_arena_reset(&a);
    const unsigned char *block = leat_arena_zalloc(&a, 4096);
    for (int i = 0; i < 4096; i++)
        cr_assert_eq(block[i], 0);
    leat_arena_free(&a);
}

Test(arena, restore_gives_back_across_chunks)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    char *kept = leat_arena_alloc(&a, 100);
    strcpy(kept, "kept");
    size_t in_use = a.in_use;
    leat_arena_mark mark = leat_arena_save(&a);
    char *first = leat_arena_alloc(&a, 100);
    for (int i = 0; i < 50; i++)
        cr_assert_not_null(leat_arena_alloc(&a, 10000));
    cr_assert_gt(a.in_use, in_use + 50 * 10000);
    leat_arena_restore(&a, mark);
    cr_assert_eq(a.in_use, in_use);
    cr_assert(leat_arena_alloc(&a, 100) == first, "memory is handed out again");
    cr_assert_str_eq(kept, "kept");
    leat_arena_free(&a);
}

/* The first chunk is too small for the large block and stays empty. */
Test(arena, restore_reaches_behind_an_empty_chunk)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_arena_mark empty = leat_arena_save(&a);
    leat_arena_alloc(&a, 1000);
    for (int i = 0; i < 3; i++) {
        leat_arena_restore(&a, empty);
        char *large = leat_arena_alloc(&a, 40000), *other = leat_arena_alloc(&a, 40000);
        cr_assert(large + 40000 <= other || other + 40000 <= large);
        memset(large, 1, 40000);
        memset(other, 2, 40000);
        cr_assert_eq(large[39999], 1);
    }
    leat_arena_free(&a);
}

Test(arena, a_steady_loop_stops_asking_after_its_second_round)
{
    counting c = { .allowed = -1 };
    leat_allocator allocator = { count_allocate, count_release, &c };
    leat_arena a;
    leat_arena_init(&a, &allocator);
    int after_two = 0;
    for (int round = 0; round < 10; round++) {
        leat_arena_reset(&a);
        for (int i = 0; i < 100; i++)
            cr_assert_not_null(leat_arena_alloc(&a, (size_t)(1000 * i)));
        if (round == 1)
            after_two = c.calls;
    }
    cr_assert_eq(c.calls, after_two);
    cr_assert_eq(c.live, 1, "one chunk holds all");
    leat_arena_free(&a);
    cr_assert_eq(c.live, 0);
}

Test(arena, out_of_memory_is_null_and_nothing_leaks)
{
    for (int allowed = 0; allowed < 6; allowed++) {
        counting c = { .allowed = allowed };
        leat_allocator allocator = { count_allocate, count_release, &c };
        leat_arena a;
        leat_arena_init(&a, &allocator);
        int refused = 0;
        for (int i = 0; i < 20; i++)
            refused += leat_arena_alloc(&a, (size_t)20000 << i) == NULL;
        cr_assert_gt(refused, 0);
        leat_arena_reset(&a);
        if (allowed > 0)
            cr_assert_not_null(leat_arena_alloc(&a, 20000), "what is there still serves");
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
    }
    leat_arena a;
    leat_arena_init(&a, NULL);
    cr_assert_null(leat_arena_alloc(&a, SIZE_MAX));
    cr_assert_null(leat_arena_alloc(&a, (size_t)PTRDIFF_MAX));
    leat_arena_free(&a);
}

Test(arena, format_makes_text)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    cr_assert_str_eq(leat_arena_format(&a, "layers.%d.%s", 3, "net"), "layers.3.net");
    leat_arena_free(&a);
}
