/* What the tests of products share: pools, numbers of all sizes, and memory that ends where none may be read. */
#ifndef LEAT_TESTS_TENSOR_NUMBERS_H
#define LEAT_TESTS_TENSOR_NUMBERS_H

#include "../../tensor/tensor.h"

#include <criterion/criterion.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const int pool_sizes[] = { 1, 2, 3, 8 };
enum { POOLS = sizeof pool_sizes / sizeof *pool_sizes };

static leat_pool *pools[POOLS];
static leat_arena scratch;
static uint64_t seed = 1;

static inline void set_up(void)
{
    leat_arena_init(&scratch, NULL);
    for (int i = 0; i < POOLS; i++)
        pools[i] = leat_pool_new(pool_sizes[i], NULL);
}

static inline void tear_down(void)
{
    for (int i = 0; i < POOLS; i++)
        leat_pool_free(pools[i]);
    leat_arena_free(&scratch);
}

static inline uint64_t bits(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

/* Mostly of order 1, with zeros of both signs, tiny and large ones among them. */
static inline leat_real number(void)
{
    static const leat_real rare[] = { 0, (leat_real)-0.0, (leat_real)1e-38, (leat_real)-1e-42, 100, 1 };
    if (bits() % 16 == 0)
        return rare[bits() % 6];
    return (leat_real)((double)bits() / (double)(1u << 30) - 1.0);
}

/* Memory that ends where an unreadable page begins, so that nothing behind it is touched unnoticed. */
static inline leat_real *guarded(size_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), used = (count * sizeof(leat_real) + page - 1) / page * page;
    char *block = mmap(NULL, used + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(block != MAP_FAILED && mprotect(block + used, page, PROT_NONE) == 0);
    return (leat_real *)(block + used) - count;
}

static inline void release(leat_real *x, size_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), used = (count * sizeof(leat_real) + page - 1) / page * page;
    munmap((char *)(x + count) - used, used + page);
}

#endif
