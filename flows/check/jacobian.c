/*
 * Jacobians by autodiff, of rows taken flat. Up to 64 numbers in a row they are had whole. Above that, products with
 * random directions, u^T J, tell what is needed if each column has one entry that counts: a coupling's moved block must
 * be diagonal, and scales, permutations and elementwise maps have one entry in each column. What is neither is had whole
 * for one row, up to 1024 numbers, and is not looked at beyond.
 */
#include "../../tensor/kernels/elementary.h"
#include "check_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE = 64, WHOLE_ONE_ROW = 1024, COPIES = 256 };

static const char not_that[] = "the log-determinant is not that of the Jacobian";
static const char sees[] = "the conditioner sees what it moves: the Jacobian is not block triangular";

static void judge_logdet(leat_check *c, double said, double is, double rounding)
{
    double scale = larger(1, fabs(said));
    leat_check_judge(c, &c->report->logdet_jacobian, fabs(said - is) / scale, rounding / scale, not_that);
}

static leat_tensor row_of(leat_tensor t, int64_t r)
{
    if (t.data) {
        t.data += r * (leat_shape_count(&t.shape) / t.shape.size[0]);
        t.shape.size[0] = 1;
    }
    return t;
}

/* 1 for what the coupling keeps, 0 for what it moves, for one row; NULL for other transforms and parts. */
static const leat_real *kept_flags(leat_check *c, leat_shape shape)
{
    const leat_transform *layer = c->end == c->first + 1 ? leat_flow_layer(c->flow, c->first) : NULL;
    const leat_transform_type *type = layer && c->part ? (const leat_transform_type *)layer->module.type : NULL;
    const leat_mask *mask = type && type->mask ? type->mask(layer) : NULL;
    if (!mask)
        return NULL;
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, false);
    shape.size[0] = 1;
    leat_var ones = leat_full(c->tape, shape, 1);
    leat_var flags = leat_mask_merge(mask, ones, leat_mul_scalar(leat_mask_moved(mask, ones), 0));
    leat_tensor copy = leat_check_failed(c) ? (leat_tensor){ 0 } : leat_check_repeat(c, leat_value(flags), 1);
    return copy.data;
}

/* One row's Jacobian [dim, dim]: many copies of the row, each with a cotangent of its own, are one walk back. */
static bool whole_jacobian(leat_check *c, leat_tensor row, int64_t dim, leat_tensor j, double *said)
{
    for (int64_t at = 0; at < dim; at += COPIES) {
        int64_t n = dim - at < COPIES ? dim - at : COPIES;
        leat_tape_reset(c->tape);
        leat_tape_set_recording(c->tape, true);
        leat_tensor copies = leat_check_repeat(c, row, n);
        leat_var x = copies.data ? leat_input(c->tape, copies) : (leat_var){ .tape = c->tape };
        leat_pair z = leat_check_run(c, x, false, false);
        leat_tensor u = { .shape = leat_var_shape(z.y),
                          .data = leat_tape_alloc(c->tape, (size_t)(n * dim) * sizeof(leat_real)) };
        if (leat_check_failed(c) || !copies.data)
            return false;
        for (int64_t i = 0; i < n * dim; i++)
            u.data[i] = i % dim == at + i / dim;
        leat_vjp(z.y, u);
        leat_tensor g = leat_grad(x);
        if (leat_check_failed(c))
            return false;
        *said = (double)leat_value(z.logdet).data[0];
        if (g.data)
            memcpy(j.data + at * dim, g.data, (size_t)(n * dim) * sizeof(leat_real));
        else
            memset(j.data + at * dim, 0, (size_t)(n * dim) * sizeof(leat_real));
        leat_clear_grads(c->tape);
    }
    return true;
}

/* Distance of one row's Jacobian from [I 0; * diag], kept features first. */
static double triangle_distance(const leat_real *kept, const leat_real *j, int64_t dim)
{
    double worst = 0;
    for (int64_t i = 0; i < dim * dim; i++) {
        int64_t row = i / dim, column = i % dim;
        bool counts = kept[column] != 0 ? kept[row] != 0 : row != column;
        double off = counts ? fabs((double)j[i] - (kept[column] != 0 && row == column)) : 0;
        worst = off > worst || isnan(off) ? off : worst;
    }
    return worst;
}

/* What rounding of the entries does to log|det J|: d log|det J| = trace(J^-1 dJ). */
static double rounding_of(leat_var j, int64_t dim)
{
    leat_tensor a = leat_value(j), inverse = leat_value(leat_inverse(j));
    double sum = 0;
    for (int64_t i = 0; inverse.data && i < dim * dim; i++)
        sum = fma(fabs((double)inverse.data[i]), fabs((double)a.data[i % dim * dim + i / dim]), sum);
    return 64 * (sizeof(leat_real) == 8 ? 0x1p-52 : 0x1p-23) * sum;
}

static void check_whole(leat_check *c, leat_tensor x, int64_t rows, int64_t dim, const leat_real *kept)
{
    leat_tensor j = { .shape = LEAT_SHAPE(dim, dim) }, context = c->context;
    j.data = leat_check_alloc(c, (size_t)(dim * dim) * sizeof *j.data);
    for (int64_t r = 0; j.data && r < rows; r++) {
        double said = 0;
        c->context = context.data ? leat_check_repeat(c, row_of(context, r), COPIES) : context;
        bool had = whole_jacobian(c, row_of(x, r), dim, j, &said);
        c->context = context;
        if (!had)
            return;
        leat_tape_reset(c->tape);
        leat_tape_set_recording(c->tape, false);
        leat_var all = leat_borrow(c->tape, j);
        double is = leat_item(leat_slogdet(all, NULL));
        bool doubtful = !(fabs(said - is) <= c->tolerance * larger(1, fabs(said)));
        if (kept)
            leat_check_judge(c, &c->report->triangle, triangle_distance(kept, j.data, dim), 0, sees);
        judge_logdet(c, said, is, doubtful ? rounding_of(all, dim) : 0);
        leat_check_failed(c);
    }
}

/* ---- by products ------------------------------------------------------------------------------------------------- */

/* Directions of one row: u[1] is u[0] times numbers that tell the features apart. Of couplings the first two look at
 * what moves alone, the third at what is kept. */
static void choose_directions(leat_check *c, double *u[3], int64_t dim, const leat_real *kept)
{
    leat_rng rng = leat_rng_new(leat_model_seed(leat_flow_model(c->flow)), 0x70726f6265);
    for (int64_t i = 0; i < dim; i++) {
        double size = 1 + leat_rng_uniform(&rng);
        bool keeps = kept && kept[i] != 0;
        u[0][i] = keeps ? 0 : leat_rng_uniform(&rng) < 0.5 ? -size : size;
        u[1][i] = kept ? keeps ? 0 : leat_rng_normal(&rng) : u[0][i] * (1 + (double)i / (double)dim);
        u[2][i] = kept && !keeps ? 0 : leat_rng_normal(&rng);
    }
}

/* log|det J| of row r of a coupling; how far it is from the block triangular form is *off. */
static double coupling_logdet(const leat_tensor *g, double *u[3], int64_t dim, const leat_real *kept, double *off)
{
    double sum = 0;
    for (int64_t j = 0; j < dim; j++) {
        bool keeps = kept[j] != 0;
        double d = keeps ? 1 : (double)g[0].data[j] / u[0][j];
        double apart = fabs((double)g[2].data[j] - u[2][j]);
        if (!keeps)
            apart = larger(apart, fabs((double)g[1].data[j] - d * u[1][j]) / larger(1, fabs(d)));
        *off = apart > *off || isnan(apart) ? apart : *off;
        sum += leat_log64(fabs(d));
    }
    return sum;
}

/* log|det J| if each column has one entry, in a row of its own; otherwise NaN. */
static double monomial_logdet(const leat_tensor *g, double *u[3], int64_t dim, bool *taken)
{
    double sum = 0, near = sizeof(leat_real) == 8 ? 1e-10 : 1e-5;
    memset(taken, 0, (size_t)dim);
    for (int64_t j = 0; j < dim; j++) {
        double a = (double)g[0].data[j], at = ((double)g[1].data[j] / a - 1) * (double)dim;
        if (!(at > -0.5 && at < (double)dim - 0.5))
            return (double)NAN;
        int64_t i = (int64_t)rint(at);
        double d = a / u[0][i];
        if (taken[i] || !(fabs(at - rint(at)) <= near * (double)dim) ||
            !(fabs((double)g[2].data[j] - d * u[2][i]) <= near * fabs(d) * larger(1, fabs(u[2][i]))))
            return (double)NAN;
        taken[i] = true;
        sum += leat_log64(fabs(d));
    }
    return sum;
}

static bool products(leat_check *c, leat_tensor x, int64_t rows, int64_t dim, double *u[3], leat_tensor *g,
                     leat_tensor *logdet)
{
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, true);
    x.shape.size[0] = rows;
    leat_var from = leat_input(c->tape, x);
    leat_pair z = leat_check_run(c, from, false, false);
    leat_tensor v = { leat_tape_alloc(c->tape, (size_t)(rows * dim) * sizeof(leat_real)), leat_var_shape(z.y) };
    for (int k = 0; k < 3; k++) {
        if (leat_check_failed(c))
            return false;
        for (int64_t i = 0; i < rows * dim; i++)
            v.data[i] = (leat_real)u[k][i % dim];
        leat_clear_grads(c->tape);
        leat_vjp(z.y, v);
        leat_tensor got = leat_grad(from);
        g[k] = leat_check_repeat(c, got, rows);
        if (!got.data)
            g[k] = (leat_tensor){ leat_check_alloc(c, (size_t)(rows * dim) * sizeof(leat_real)), x.shape };
        if (!g[k].data)
            return false;
    }
    leat_clear_grads(c->tape);
    *logdet = leat_check_repeat(c, leat_value(z.logdet), rows);
    return !leat_check_failed(c) && logdet->data;
}

/* True if the products tell all. */
static bool check_products(leat_check *c, leat_tensor x, int64_t rows, int64_t dim, const leat_real *kept)
{
    double *u[3], *all = leat_check_alloc(c, (size_t)(3 * dim) * sizeof *all);
    bool *taken = leat_check_alloc(c, (size_t)dim);
    leat_tensor g[3] = { 0 }, logdet = { 0 };
    if (!all || !taken)
        return true;
    for (int k = 0; k < 3; k++)
        u[k] = all + k * dim;
    choose_directions(c, u, dim, kept);
    for (int64_t i = 0; i < 3 * dim; i++)
        all[i] = (double)(leat_real)all[i];
    if (!products(c, x, rows, dim, u, g, &logdet))
        return true; /* and has complained */
    for (int64_t r = 0; r < rows; r++) {
        leat_tensor row[3] = { row_of(g[0], r), row_of(g[1], r), row_of(g[2], r) };
        double off = 0, is = kept ? coupling_logdet(row, u, dim, kept, &off) : monomial_logdet(row, u, dim, taken);
        if (!kept && isnan(is))
            return false;
        if (kept)
            leat_check_judge(c, &c->report->triangle, off, 0, sees);
        judge_logdet(c, (double)logdet.data[r], is, 0);
    }
    return true;
}

void leat_check_jacobian(leat_check *c, leat_tensor x)
{
    int64_t rows = x.shape.size[0] < c->jacobian_rows ? x.shape.size[0] : c->jacobian_rows;
    int64_t dim = leat_shape_count(&x.shape) / x.shape.size[0];
    leat_arena_mark mark = leat_arena_save(c->arena);
    const leat_real *kept = kept_flags(c, x.shape);
    char text[80];
    if (dim <= WHOLE)
        check_whole(c, x, rows, dim, kept);
    else if (!check_products(c, x, rows, dim, kept)) {
        if (dim <= WHOLE_ONE_ROW)
            check_whole(c, x, 1, dim, kept);
        else {
            snprintf(text, sizeof text, "the Jacobian, of %lld numbers a row", (long long)dim);
            leat_check_unseen(c, text);
        }
    }
    leat_arena_restore(c->arena, mark);
}
