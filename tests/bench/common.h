/* What the benchmark's programs share: the clock, medians, and an end for when something fails. */
#ifndef LEAT_BENCH_COMMON_H
#define LEAT_BENCH_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../tensor/tensor.h"

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void die(const char *message)
{
    fprintf(stderr, "%s\n", message);
    exit(1);
}

/* n numbers, all zero, placed as leat places its own; the end of the program where there is no memory. */
static inline void *take(int64_t n, size_t size)
{
    size_t bytes = ((size_t)n * size + 63) / 64 * 64;
    void *block = aligned_alloc(64, bytes);
    if (!block)
        die("out of memory");
    return memset(block, 0, bytes);
}

static inline int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* If argv[*i] is `name`, its value, which may stand behind a '='; or NULL. */
static inline const char *option(char **argv, int *i, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == '=')
        return argv[*i] + n + 1;
    return argv[*i][n] == '\0' && argv[*i + 1] ? argv[++*i] : NULL;
}

static inline void print_cpu(void)
{
    leat_cpu cpu = leat_cpu_info();
    printf("leat with %s, %d %s in a vector; processors: %d; caches:", cpu.isa, cpu.lanes,
           sizeof(leat_real) == 4 ? "floats" : "doubles", cpu.threads);
    for (int i = 0; i < 3; i++)
        printf(" %d KB", (int)(cpu.cache[i] >> 10));
    printf("\n");
}

#endif
