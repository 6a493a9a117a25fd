/*
 * Which kernels run: looks once at what the machine has and at LEAT_ISA. A further instruction set is one more entry in
 * `look`, the better the later.
 */
#include "gemm.h"
#include "kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const leat_kernels *available[8]; /* from plain to best, then NULL */
static const leat_kernels *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look(void)
{
    int count = 0;
    available[count++] = &leat_kernels_ref;
#ifdef LEAT_HAVE_X86_VECTORS
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        available[count++] = &leat_kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        available[count++] = &leat_kernels_avx512;
#endif
#ifdef LEAT_HAVE_NEON
    available[count++] = &leat_kernels_neon;
#endif
    chosen = available[count - 1];
    const char *wanted = getenv("LEAT_ISA");
    for (int i = 0; wanted && i < count; i++)
        if (strcmp(wanted, available[i]->isa) == 0)
            chosen = available[i];
}

const leat_kernels *leat_kernels_get(void)
{
    pthread_once(&once, look);
    return chosen;
}

const leat_kernels *const *leat_kernels_all(void)
{
    pthread_once(&once, look);
    return available;
}

const char *leat_isa(void)
{
    return leat_kernels_get()->isa;
}

leat_cpu leat_cpu_info(void)
{
    const leat_kernels *k = leat_kernels_get();
    leat_cpu cpu = { .isa = k->isa, .lanes = k->gemm->lanes, .threads = leat_available_threads() };
    for (int i = 0; available[i]; i++)
        cpu.isas[i] = available[i]->isa;
#ifdef _SC_LEVEL1_DCACHE_SIZE
    static const int levels[] = { _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE };
    for (int i = 0; i < 3; i++) {
        long bytes = sysconf(levels[i]);
        cpu.cache[i] = bytes > 0 ? bytes : 0;
    }
#endif
    return cpu;
}

leat_activation_op leat_activation_op_of(leat_activation f)
{
#define ROW(NAME, op, constant) [LEAT_##NAME] = { LEAT_UNARY_##op, { (leat_real)(constant), 0 } },
    static const leat_activation_op ops[] = { [LEAT_IDENTITY] = { -1, { 0, 0 } }, LEAT_ACTIVATIONS(ROW) };
#undef ROW
    int i = (int)f;
    return ops[i >= 0 && i < (int)(sizeof ops / sizeof *ops) ? i : LEAT_IDENTITY];
}

double leat_sum_contiguous(const leat_real *x, int64_t n)
{
    return leat_kernels_get()->sum(x, n);
}
