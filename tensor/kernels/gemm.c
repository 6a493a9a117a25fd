/*
 * Matrix products: blocks that fit the caches around the tiles of gemm_kernel.h.
 *
 *     for each thread: a rectangle of C
 *         for each DEPTH of k: pack B, unless it is read too seldom to pay
 *             for each HEIGHT of rows: tiles; all but the first depth continue from C
 *
 * A is read where it lies, unless it is transposed and used often. The order of the sums is a matter of one output and
 * its k alone, so every way to cut the work gives the same bits.
 *
 * A product with very few columns would leave most lanes of a vector idle. It is turned: C^T = op(B)^T op(A)^T has the
 * same sums, and its columns are plenty. Its tiles go to a small buffer, from which C is written.
 */
#include "gemm.h"

#include <string.h>

enum {
    DEPTH = 256,      /* of a panel of B, so that it stays near with a strip of A */
    HEIGHT = 144,     /* rows of A of that depth, for the second level; a multiple of every kernel's `rows` */
    WIDTH = 512,      /* columns of packed B; a multiple of every kernel's `wide` */
    PACK_B_ROWS = 24, /* fewer uses of B do not pay for packing it */
    PACK_A_ROWS = 6,
    PACK_A_COLS = 256, /* the same for a transposed A */
    SEVERAL = 4,       /* products that threads share out at once */
};

/* Estimates that decide on the use of threads, in multiply-adds of a full tile. At a border a row of C goes on with
 * another thread, in lines that both processors fetch. */
static const double element_cost = 8, activation_cost = 40, pack_cost = 4, dispatch_cost = 60e3, border_cost = 64;

/* C [m, n] with strides c_row, c_col; A's element (i, p) at a[i * a_row + p * a_col]; B as in leat_gemm_args. */
typedef struct product {
    const leat_kernels *kernels;
    const leat_gemm_kernel *kernel;
    int64_t m, n, k, a_row, a_col, ldb, c_row, c_col;
    const leat_real *a, *b, *bias;
    leat_real *c;
    leat_activation activation;
    bool trans_b, accumulate, turned, pack_a, pack_b;
    int64_t panel, depth, width; /* of a panel of B; of a block of B */
    int grid_m, grid_n;
    int64_t room_a, room_b, room_c; /* numbers of scratch for each rectangle; C for a turned product */
    leat_real *scratch;
} product;

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* C [m, n] at row i0 and column j0. `fused`: bias and relu are the kernel's task. */
static void multiply(const product *p, int64_t i0, int64_t m, int64_t j0, int64_t n, leat_real *c, int64_t ldc,
                     bool fused, leat_real *scratch)
{
    const leat_gemm_kernel *kernel = p->kernel;
    static const int64_t whole = 0;
    leat_real *packed_a = scratch, *packed_b = scratch + p->room_a;
    int64_t k0 = 0;
    do {
        int64_t k = min_of(p->depth, p->k - k0);
        bool last = k0 + k == p->k;
        const leat_real *b = p->b + (p->trans_b ? j0 * p->ldb + k0 : k0 * p->ldb + j0);
        if (p->pack_b)
            (p->trans_b ? kernel->pack_transposed : kernel->pack)(b, p->ldb, k, n, p->panel, packed_b);
        for (int64_t i = 0; i < m; i += HEIGHT) {
            int64_t height = min_of(HEIGHT, m - i);
            const leat_real *a = p->a + (i0 + i) * p->a_row + k0 * p->a_col;
            if (p->pack_a)
                kernel->pack(a, p->a_col, k, height, kernel->rows, packed_a);
            kernel->block(&(leat_gemm_block){
                .m = height,
                .n = n,
                .k = k,
                .strip = kernel->rows,
                .segments = 1,
                .lines = 1,
                .a_at = &whole,
                .b_at = &whole,
                .a = p->pack_a ? packed_a : a,
                .a_row = p->a_row,
                .a_col = p->pack_a ? kernel->rows : p->a_col,
                .a_strip = kernel->rows * (p->pack_a ? k : p->a_row),
                .b = p->pack_b ? packed_b : b,
                .b_row = p->pack_b    ? p->panel
                         : p->trans_b ? 1
                                      : p->ldb,
                .b_col = p->trans_b && !p->pack_b ? p->ldb : 1,
                .panel = p->pack_b ? p->panel : n,
                .b_panel = p->panel * k,
                .c = c + i * ldc,
                .ldc = ldc,
                .bias = last && fused && p->bias ? p->bias + j0 : NULL,
                .load = p->accumulate || k0 > 0,
                .relu = last && fused && p->activation == LEAT_RELU,
            });
        }
        k0 += k;
    } while (k0 < p->k);
}

static void activate(const product *p, leat_real *c, int64_t n)
{
    leat_activation_op f = leat_activation_op_of(p->activation);
    if (f.unary >= 0)
        p->kernels->unary[f.unary].forward(c, c, n, f.k);
}

static void straight_columns(const product *p, int64_t i0, int64_t m, int64_t j0, int64_t n, leat_real *scratch)
{
    leat_real *c = p->c + i0 * p->c_row + j0;
    multiply(p, i0, m, j0, n, c, p->c_row, true, scratch);
    if (p->activation != LEAT_RELU)
        for (int64_t i = 0; i < m; i++)
            activate(p, c + i * p->c_row, n);
}

/* Columns of a turned product: its rows, each a column of the caller's C, are few. */
static void turned_columns(const product *p, int64_t i0, int64_t m, int64_t j0, int64_t n, leat_real *scratch)
{
    leat_real *c = p->c + i0 * p->c_row + j0 * p->c_col;
    bool in_place = p->c_col == 1 && m == 1;
    leat_real *out = in_place ? c : scratch + p->room_a + p->room_b;
    if (p->accumulate && !in_place)
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++)
                out[i * n + j] = c[i * p->c_row + j * p->c_col];
    multiply(p, i0, m, j0, n, out, n, false, scratch);
    for (int64_t i = 0; i < m; i++) {
        if (p->bias)
            p->kernels->binary[LEAT_BINARY_add].forward(out + i * n, 1, p->bias + i0 + i, 0, out + i * n, n);
        activate(p, out + i * n, n);
    }
    if (!in_place)
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++)
                c[i * p->c_row + j * p->c_col] = out[i * n + j];
}

/* Where part i begins when n is cut into near-equal parts, in multiples of unit. */
static int64_t cut(int64_t n, int64_t unit, int parts, int i)
{
    if (parts == 1) /* without dividing, which takes longer than a small product */
        return i ? n : 0;
    int64_t units = (n + unit - 1) / unit;
    return min_of(n, (units / parts * i + min_of(units % parts, i)) * unit);
}

/* Rectangle number t of the grid. */
static void run_rectangle(const product *p, int t)
{
    int row = t / p->grid_n, col = t % p->grid_n;
    int64_t i0 = cut(p->m, p->kernel->rows, p->grid_m, row), i1 = cut(p->m, p->kernel->rows, p->grid_m, row + 1);
    int64_t j0 = cut(p->n, p->kernel->cols, p->grid_n, col), j1 = cut(p->n, p->kernel->cols, p->grid_n, col + 1);
    leat_real *scratch = p->scratch + t * (p->room_a + p->room_b + p->room_c);
    for (int64_t j = j0; j < j1; j += p->width)
        (p->turned ? turned_columns : straight_columns)(p, i0, i1 - i0, j, min_of(p->width, j1 - j), scratch);
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

static product product_of(const leat_kernels *kernels, const leat_gemm_args *g)
{
    product p = {
        .kernels = kernels,
        .kernel = kernels->gemm,
        .m = g->m,
        .n = g->n,
        .k = g->k,
        .a = g->a,
        .a_row = g->trans_a ? 1 : g->lda,
        .a_col = g->trans_a ? g->lda : 1,
        .b = g->b,
        .ldb = g->ldb,
        .trans_b = g->trans_b,
        .c = g->c,
        .c_row = g->ldc,
        .c_col = 1,
        .bias = g->bias,
        .activation = g->activation,
        .accumulate = g->accumulate,
    };
    int lanes = p.kernel->lanes;
    p.turned = g->n < g->m && (g->n <= lanes / 2 || (g->trans_a && g->n < lanes));
    if (p.turned) {
        p.m = g->n, p.n = g->m;
        p.a = g->b, p.a_row = g->trans_b ? g->ldb : 1, p.a_col = g->trans_b ? 1 : g->ldb;
        p.b = g->a, p.ldb = g->lda, p.trans_b = !g->trans_a;
        p.c_row = 1, p.c_col = g->ldc;
    }
    if (p.k == 0) { /* A and B may be anywhere, so nothing may be computed from their addresses */
        p.a = p.b = p.c;
        p.a_row = p.a_col = p.ldb = 0;
        p.trans_b = false;
    }
    if (p.k == 1 && p.ldb == 1) /* a column that lies like a row */
        p.trans_b = false;
    p.panel = p.m <= 2 ? p.kernel->wide : p.kernel->cols;
    p.pack_a = p.a_row == 1 && p.m >= PACK_A_ROWS && p.n >= PACK_A_COLS && p.k > 1;
    p.pack_b = p.trans_b ? p.m > DOT_ROWS : p.m >= PACK_B_ROWS && p.k > 1 && (p.n > 2 * p.panel || p.ldb > 2 * p.panel);
    p.depth = p.k <= DEPTH ? p.k : (p.k - 1) / ((p.k - 1) / DEPTH + 1) + 1;
    p.width = p.turned ? p.kernel->wide : WIDTH;
    return p;
}

/* The time of the largest rectangle when C is cut into rows by cols of them. */
static double cost(const product *p, int rows, int cols)
{
    double m = (double)cut(p->m, p->kernel->rows, rows, 1), n = (double)cut(p->n, p->kernel->cols, cols, 1);
    double each = element_cost + (p->activation > LEAT_RELU ? activation_cost : 0) + (double)p->k;
    return m * n * each + (p->pack_b || p->trans_b ? pack_cost * n * (double)p->k : 0) +
           (cols > 1 ? border_cost * m : 0) + dispatch_cost * (rows * cols - 1);
}

static void choose_grid(product *p, int threads)
{
    p->grid_m = p->grid_n = 1;
    if (threads == 1)
        return;
    double least = cost(p, 1, 1);
    threads = (int)min_of(threads, 1 + (int64_t)(least / dispatch_cost));
    int most_m = (int)min_of(threads, (p->m - 1) / p->kernel->rows + 1);
    for (int rows = 1; rows <= most_m; rows++) {
        int most_n = (int)min_of(threads / rows, (p->n - 1) / p->kernel->cols + 1);
        for (int cols = 1; cols <= most_n; cols++) {
            double here = cost(p, rows, cols);
            if (here < least)
                least = here, p->grid_m = rows, p->grid_n = cols;
        }
    }
}

/* ---- entry points ------------------------------------------------------------------------------------------------ */

/* How much scratch each rectangle needs: the grid must stand. */
static int64_t plan_scratch(product *p)
{
    int64_t m = cut(p->m, p->kernel->rows, p->grid_m, 1),
            n = min_of(cut(p->n, p->kernel->cols, p->grid_n, 1), p->width);
    p->room_a =
        p->pack_a ? round_up(p->depth * round_up(min_of(m, HEIGHT), p->kernel->rows) + p->kernel->lanes, 64) : 0;
    p->room_b = p->pack_b ? round_up(p->depth * round_up(n, p->panel), 64) : 0;
    p->room_c = p->turned ? round_up(m * n, 64) : 0;
    return p->room_a + p->room_b + p->room_c;
}

/* Products that do not wait for each other. Their rectangles, one product behind the other, are dealt to as many parts
 * as pay, by what they cost. */
typedef struct group {
    product products[SEVERAL];
    double each[SEVERAL]; /* the cost of a rectangle */
    double total;
    int count, parts;
} group;

static void run_parts(void *arg, int64_t begin, int64_t end)
{
    const group *all = arg;
    double before = 0;
    for (int i = 0; i < all->count; i++) {
        const product *p = &all->products[i];
        for (int t = 0; t < p->grid_m * p->grid_n; t++) {
            double middle = before + all->each[i] / 2;
            int64_t part = min_of((int64_t)(middle / all->total * all->parts), all->parts - 1);
            if (part >= begin && part < end)
                run_rectangle(p, t);
            before += all->each[i];
        }
    }
}

static leat_code run_products(const leat_kernels *kernels, leat_pool *pool, leat_arena *scratch, int count,
                              const leat_gemm_args *g)
{
    group all; /* large: only what is used gets filled in */
    all.count = 0;
    all.total = 0;
    int threads = leat_pool_threads(pool), rectangles = 0;
    leat_arena_mark mark = leat_arena_save(scratch);
    for (int i = 0; i < count; i++) {
        if (g[i].m == 0 || g[i].n == 0 || (g[i].k == 0 && g[i].accumulate))
            continue;
        product *p = &all.products[all.count];
        *p = product_of(kernels, &g[i]);
        choose_grid(p, threads);
        int tasks = p->grid_m * p->grid_n;
        p->scratch = leat_arena_alloc(scratch, (size_t)(plan_scratch(p) * tasks) * sizeof(leat_real));
        if (!p->scratch) {
            leat_arena_restore(scratch, mark);
            return LEAT_ENOMEM;
        }
        all.each[all.count] = cost(p, p->grid_m, p->grid_n) - dispatch_cost * (tasks - 1);
        all.total += all.each[all.count] * tasks;
        rectangles += tasks;
        all.count++;
    }
    all.parts = (int)min_of(min_of(threads, rectangles), 1 + (int64_t)(all.total / dispatch_cost));
    leat_parallel_for(pool, all.parts, 1, run_parts, &all);
    leat_arena_restore(scratch, mark);
    return LEAT_OK;
}

leat_code leat_gemm_with(const leat_kernels *kernels, leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g)
{
    return run_products(kernels, pool, scratch, 1, g);
}

leat_code leat_gemm(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g)
{
    return run_products(leat_kernels_get(), pool, scratch, 1, g);
}

leat_code leat_gemm_several(leat_pool *pool, leat_arena *scratch, int count, const leat_gemm_args *g)
{
    leat_code code = LEAT_OK;
    for (int i = 0; i < count && code == LEAT_OK; i += SEVERAL)
        code = run_products(leat_kernels_get(), pool, scratch, (int)min_of(count - i, SEVERAL), g + i);
    return code;
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

typedef struct batch {
    const leat_gemm_args *g; /* of the first product, but for the places of A and B */
    int64_t count, room;
    const int64_t *a_at, *b_at;
    leat_real *scratch;
    int parts;
} batch;

static leat_gemm_args batch_item(const batch *b, int64_t i)
{
    leat_gemm_args g = *b->g;
    g.a += b->a_at[i];
    g.b += b->b_at[i];
    g.c += i * g.m * g.ldc;
    return g;
}

static void run_batch(void *arg, int64_t begin, int64_t end)
{
    const batch *b = arg;
    for (int64_t t = begin; t < end; t++) {
        int64_t last = cut(b->count, 1, b->parts, (int)t + 1);
        for (int64_t i = cut(b->count, 1, b->parts, (int)t); i < last; i++) {
            leat_gemm_args g = batch_item(b, i);
            product p = product_of(leat_kernels_get(), &g);
            p.grid_m = p.grid_n = 1;
            plan_scratch(&p);
            p.scratch = b->scratch + t * b->room;
            run_rectangle(&p, 0);
        }
    }
}

/* Into how many parts to cut the batch; 0 if it is better to cut every product. */
static int cut_batch(const product *p, int64_t count, int threads)
{
    product cut_up = *p;
    choose_grid(&cut_up, threads);
    double one = cost(p, 1, 1), inside = (double)count * cost(&cut_up, cut_up.grid_m, cut_up.grid_n);
    int parts = (int)min_of(min_of(threads, count), 1 + (int64_t)((double)count * one / dispatch_cost));
    double outside = (double)cut(count, 1, parts, 1) * one + dispatch_cost * (parts - 1);
    return outside <= inside ? parts : 0;
}

leat_code leat_gemm_batch(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g, int64_t count,
                          const int64_t *a_at, const int64_t *b_at)
{
    if (count == 0 || g->m == 0 || g->n == 0 || (g->k == 0 && g->accumulate))
        return LEAT_OK;
    product p = product_of(leat_kernels_get(), g);
    p.grid_m = p.grid_n = 1;
    batch b = { .g = g, .count = count, .room = plan_scratch(&p), .a_at = a_at, .b_at = b_at };
    b.parts = cut_batch(&p, count, leat_pool_threads(pool));
    leat_code code = LEAT_OK;
    if (b.parts == 0) {
        for (int64_t i = 0; i < count && code == LEAT_OK; i++) {
            leat_gemm_args one = batch_item(&b, i);
            code = leat_gemm(pool, scratch, &one);
        }
        return code;
    }
    leat_arena_mark mark = leat_arena_save(scratch);
    b.scratch = leat_arena_alloc(scratch, (size_t)(b.room * b.parts) * sizeof(leat_real));
    if (!b.scratch)
        return LEAT_ENOMEM;
    leat_parallel_for(pool, b.parts, 1, run_batch, &b);
    leat_arena_restore(scratch, mark);
    return code;
}
