/* See products.h. */
#include "products.h"

#include "common.h"

enum { MOST_KINDS = 512 };

static products_kind kinds[MOST_KINDS];
static int count;
static bool listening;
static double flops;

static bool same(const leat_gemm_args *a, const leat_gemm_args *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->trans_a == b->trans_a && a->trans_b == b->trans_b &&
           a->accumulate == b->accumulate && a->activation == b->activation && !a->bias == !b->bias;
}

static void note(const leat_gemm_args *g, int64_t times)
{
    if (!listening)
        return;
    flops += 2.0 * (double)times * (double)g->m * (double)g->n * (double)g->k;
    int i = 0;
    while (i < count && !same(&kinds[i].args, g))
        i++;
    if (i == MOST_KINDS)
        die("too many kinds of products");
    if (i == count)
        kinds[count++] = (products_kind){ *g, 0 };
    kinds[i].times += times;
}

leat_code __real_leat_gemm(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g);
leat_code __real_leat_gemm_batch(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g, int64_t n,
                                 const int64_t *a_at, const int64_t *b_at);
leat_code __real_leat_gemm_several(leat_pool *pool, leat_arena *scratch, int n, const leat_gemm_args *g);
leat_code __wrap_leat_gemm(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g);
leat_code __wrap_leat_gemm_several(leat_pool *pool, leat_arena *scratch, int n, const leat_gemm_args *g);
leat_code __wrap_leat_gemm_batch(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g, int64_t n,
                                 const int64_t *a_at, const int64_t *b_at);

leat_code __wrap_leat_gemm(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g)
{
    note(g, 1);
    return __real_leat_gemm(pool, scratch, g);
}

leat_code __wrap_leat_gemm_batch(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g, int64_t n,
                                 const int64_t *a_at, const int64_t *b_at)
{
    note(g, n);
    return __real_leat_gemm_batch(pool, scratch, g, n, a_at, b_at);
}

leat_code __wrap_leat_gemm_several(leat_pool *pool, leat_arena *scratch, int n, const leat_gemm_args *g)
{
    for (int i = 0; i < n; i++)
        note(&g[i], 1);
    return __real_leat_gemm_several(pool, scratch, n, g);
}

void products_start(void)
{
    count = 0;
    flops = 0;
    listening = true;
}

double products_stop(void)
{
    listening = false;
    return 1e-9 * flops;
}

int products_count(void)
{
    return count;
}

const products_kind *products_at(int i)
{
    return &kinds[i];
}
