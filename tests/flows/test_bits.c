/* Bits per dimension: against numbers computed by hand, their parts, draws of chance, and rows that depend on themselves
 * alone. */
#include "image_support.h"

#define LOG_2 0.69314718055994530942

static const leat_tensor none;

static leat_bits bits_of(leat_flow *f, leat_tensor x, const leat_bits_opts *o)
{
    leat_bits b;
    leat_tape *t = test_tape(leat_flow_model(f));
    cr_assert_eq(leat_flow_bits(f, t, x, o, &b), LEAT_OK, "%s", leat_tape_errmsg(t));
    return b;
}

static double parts_of(const leat_bits *b)
{
    double sum = b->dequantisation + b->preprocessing + b->base;
    for (int k = 0; k < LEAT_MAX_LEVELS; k++)
        sum += b->level[k];
    return sum;
}

/* The header's example: half of a box, scaled by 1/2, data on [-1, 1]. */
static leat_flow *half_a_box(leat_model *m, int bits)
{
    leat_flow *f = leat_flow_new(m, leat_uniform_box(m, 1, (double[]){ -1 }, (double[]){ 1 }));
    leat_flow_add(f, leat_dequantize(m, 1, bits));
    leat_flow_add(f, leat_standardizer(m, 1, (double[]){ 0.5 }, (double[]){ 0.5 }));
    leat_flow_add(f, leat_diagonal_scale(m, 1));
    param_value(m, "layers.2.log_scale").data[0] = (leat_real)-LOG_2;
    return f;
}

Test(bits, of_the_example)
{
    for (int bits = 1; bits <= 8; bits++) {
        leat_model *m = test_model(0);
        leat_bits b = bits_of(half_a_box(m, bits), test_bytes(1, 100, 1), NULL);
        cr_assert_float_eq(b.bits, bits + 1, CLOSE, "%.9g of %d bits", b.bits, bits);
        cr_assert_float_eq(b.weighted, bits + 1, CLOSE);
        cr_assert_float_eq(b.dequantisation, bits, CLOSE);
        cr_assert_float_eq(b.preprocessing, -1, CLOSE);
        cr_assert_float_eq(b.level[0], 1, CLOSE);
        cr_assert_float_eq(b.base, 1, CLOSE);
        cr_assert_float_eq(b.sd, 0, CLOSE);
        cr_assert_eq(b.levels, 1);
        leat_model_free(m);
    }
}

/* A logit and the logistic density undo each other: every byte is as probable as any other. */
Test(bits, of_a_uniform_density)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_logistic(m, 6));
    leat_flow_add(f, leat_dequantize(m, 6, 8));
    leat_flow_add(f, leat_logit(m, 0));
    leat_bits b = bits_of(f, test_bytes(1, 50, 6), &(leat_bits_opts){ .draws = 3 });
    cr_assert_float_eq(b.bits, 8, CLOSE, "%.9g", b.bits);
    cr_assert_float_eq(b.weighted, 8, CLOSE, "%.9g", b.weighted);
    cr_assert_float_eq(b.base, -b.preprocessing, CLOSE);
    cr_assert_gt(b.base, 1);
    cr_assert_eq(b.levels, 0);
    leat_model_free(m);
}

/* A normal over v, whose probability of a level is known: the bound lies above it, and many draws come close. */
Test(bits, of_many_draws_come_close_to_the_probability)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 1));
    leat_flow_add(f, leat_dequantize(m, 1, 2));
    leat_flow_add(f, leat_standardizer(m, 1, (double[]){ 0.4 }, (double[]){ 0.2 }));
    leat_tensor x = { (leat_real[]){ 0, 64, 128, 192 }, LEAT_SHAPE(4, 1) };
    double rows[4], weighted[4], before = 9, bits = 0;
    for (int64_t draws = 1; draws <= 4096; draws *= 64) {
        leat_bits_opts o = { .draws = draws, .rows = rows, .weighted_rows = weighted };
        leat_bits b = bits_of(f, x, &o);
        cr_assert_float_eq(parts_of(&b), b.bits, CLOSE);
        cr_assert(b.weighted <= b.bits + CLOSE);
        cr_assert_float_eq(b.bits, (rows[0] + rows[1] + rows[2] + rows[3]) / 4, 1e-12);
        cr_assert_float_eq(b.weighted, (weighted[0] + weighted[1] + weighted[2] + weighted[3]) / 4, 1e-12);
        before = bits;
        bits = b.bits;
    }
    for (int k = 0; k < 4; k++) {
        double low = (k / 4. - 0.4) / 0.2 / sqrt(2), high = ((k + 1) / 4. - 0.4) / 0.2 / sqrt(2);
        double exact = -log((erf(high) - erf(low)) / 2) / LOG_2, from = 0;
        for (int i = 0; i < 1000; i++) { /* E_u[ -log p ], whatever the draws are */
            double z = (k / 4. + (i + 0.5) / 4000 - 0.4) / 0.2;
            from += (2 + (z * z / 2 + log(2 * acos(-1)) / 2 + log(0.2)) / LOG_2) / 1000;
        }
        cr_assert_float_eq(weighted[k], exact, 0.03, "level %d: %g, not %g", k, weighted[k], exact);
        cr_assert_float_eq(rows[k], from, 0.05, "level %d: %g, not %g", k, rows[k], from);
        cr_assert_gt(from, exact);
    }
    cr_assert_neq(before, bits);
    leat_model_free(m);
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */

static leat_transform *coupling(leat_model *m, int64_t features)
{
    leat_mask mask = leat_mask_halves(m, features, 0);
    return leat_coupling(m, mask, &leat_affine, test_net(m, &mask, 0, 2));
}

static leat_transform *level(leat_model *m, leat_shape row, int levels)
{
    leat_transform *chain = leat_chain(m);
    leat_shape to = LEAT_SHAPE(row.size[0] / 2, row.size[1] / 2, 4 * row.size[2]);
    leat_chain_add(chain, leat_squeeze_transform(m, row, LEAT_SQUEEZE_CHANNELS));
    leat_chain_add(chain, leat_lu_linear(m, to.size[2])); /* with a permutation inside */
    leat_chain_add(chain, coupling(m, to.size[2]));
    leat_shape on = LEAT_SHAPE(to.size[0], to.size[1], to.size[2] / 2);
    if (levels > 1)
        leat_chain_add(chain, leat_split_transform(m, to, on.size[2], level(m, on, levels - 1)));
    return chain;
}

/* 8x8x1 in three levels. */
static leat_flow *levels(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 64));
    leat_flow_add(f, leat_dequantize(m, 64, 8));
    leat_flow_add(f, leat_logit(m, 0.05));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(64), LEAT_SHAPE(8, 8, 1)));
    leat_flow_add(f, level(m, LEAT_SHAPE(8, 8, 1), 3));
    assert_model(m);
    randomize(m, 0.1);
    return f;
}

/* The log-determinant of a chain's transforms but its last. */
static double own_logdet(leat_transform *chain, leat_var *x)
{
    double sum = 0;
    int last = leat_chain_length(chain) - (leat_chain_length(chain) > 3);
    for (int i = 0; i < last; i++) {
        leat_pair y = leat_transform_forward(leat_chain_layer(chain, i), *x, &(leat_flow_call){ 0 });
        for (int64_t r = 0; r < leat_var_size(*x, 0); r++)
            sum += (double)leat_value(y.logdet).data[r];
        *x = y.y;
    }
    return sum;
}

Test(bits, of_levels)
{
    enum { ROWS = 7 };
    leat_model *m = test_model(0);
    leat_flow *f = levels(m);
    leat_tensor x = test_bytes(1, ROWS, 64);
    leat_bits b = bits_of(f, x, NULL);
    double scores[ROWS], mean = 0;
    leat_tape *t = test_tape(m);
    cr_assert_eq(leat_flow_score(f, t, x, scores), LEAT_OK);
    for (int i = 0; i < ROWS; i++)
        mean -= scores[i] / (ROWS * 64 * LOG_2);
    cr_assert_float_eq(b.bits, mean, 1e-12, "the first draw is the score's");
    cr_assert_float_eq(parts_of(&b), b.bits, CLOSE);
    cr_assert_float_eq(b.dequantisation, 8, CLOSE);
    cr_assert_eq(b.levels, 3);

    leat_transform *chain = leat_flow_layer(f, 3);
    leat_tensor z = test_tensor(ROWS, 64);
    cr_assert_eq(leat_flow_encode(f, t, x, none, z.data, NULL), LEAT_OK);
    leat_tape_reset(t);
    leat_tape_set_training(t, false);
    leat_var h = leat_transform_inverse(chain, leat_const(t, z), &(leat_flow_call){ 0 }).y;
    for (int k = 0; k < 3; k++) { /* couplings of the first half do not see the second, whose chance they share */
        leat_transform *split = leat_chain_layer(chain, 3);
        double is = own_logdet(chain, &h) / (-ROWS * 64 * LOG_2);
        cr_assert(fabs(is) > 1e-3 && fabs(b.level[k] - is) < 0.05, "level %d: %g, not %g", k, b.level[k], is);
        assert_tape(t);
        if (k < 2) {
            h = leat_slice(h, -1, 0, leat_var_size(h, -1) / 2);
            chain = ((const leat_transform_type *)split->module.type)->inner(split);
        }
    }
    cr_assert_eq(b.level[3], 0);
    leat_model_free(m);
}

Test(bits, of_a_row_alone_and_among_many)
{
    enum { MANY = 3000 };
    leat_model *m = test_model(0);
    leat_flow *f = levels(m);
    leat_tensor x = test_bytes(2, MANY, 64);
    double *rows = leat_arena_alloc(test_arena(), 2 * MANY * sizeof *rows), alone[2];
    bits_of(f, x, &(leat_bits_opts){ .draws = 2, .rows = rows, .weighted_rows = rows + MANY });
    for (int64_t i = 0; i < MANY; i += 613) {
        leat_bits_opts o = { .draws = 2, .rows = alone, .weighted_rows = alone + 1 };
        bits_of(f, (leat_tensor){ x.data + 64 * i, LEAT_SHAPE(1, 64) }, &o);
        cr_assert(alone[0] == rows[i] && alone[1] == rows[MANY + i], "row %lld", (long long)i);
    }
    cr_assert_neq(rows[0], rows[MANY], "two draws are two");
    leat_model_free(m);
}

/* With a class as context: the row of a class that its base makes likely needs fewer bits. */
Test(bits, given_a_class)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_class_normal(m, 4, 2));
    leat_flow_set_context(f, 1);
    leat_flow_add(f, leat_dequantize(m, 4, 8));
    leat_tensor loc = param_value(m, "base.loc");
    for (int j = 0; j < 8; j++)
        loc.data[j] = (leat_real)(j / 4);
    leat_tensor x = { (leat_real[]){ 0, 1, 2, 3, 252, 253, 254, 255 }, LEAT_SHAPE(2, 4) };
    double rows[2][2];
    for (int swap = 0; swap < 2; swap++) {
        leat_tensor class = { (leat_real[]){ (leat_real)swap, (leat_real)(1 - swap) }, LEAT_SHAPE(2, 1) };
        bits_of(f, x, &(leat_bits_opts){ .context = class, .rows = rows[swap] });
    }
    double gain = 0.5 / LOG_2; /* z^2 / 2 from 1 to 0 */
    for (int i = 0; i < 2; i++)
        cr_assert_float_eq(rows[1][i] - rows[0][i], gain, 0.02, "row %d: %g", i, rows[1][i] - rows[0][i]);
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

Test(bits, of_real_numbers_are_refused)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .hidden = { 3 } });
    leat_tape *t = test_tape(m);
    leat_bits b;
    cr_assert_eq(leat_flow_bits(f, t, test_bytes(1, 3, 2), NULL, &b), LEAT_EARG);
    assert_contains(leat_tape_errmsg(t), "real numbers, which have no bits");
    leat_model_free(m);
    m = test_model(0);
    f = half_a_box(m, 8);
    t = test_tape(m);
    cr_assert_eq(leat_flow_bits(f, t, (leat_tensor){ .shape = LEAT_SHAPE(0, 1) }, NULL, &b), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(t), "no rows");
    cr_assert_eq(leat_flow_bits(f, t, test_bytes(1, 3, 2), NULL, &b), LEAT_ESHAPE);
    leat_model_free(m);
}
