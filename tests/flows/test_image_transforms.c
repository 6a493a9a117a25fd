/* Transforms for images: squeezes, checkerboards, dequantisation, logit; what they do and refuse. */
#include <stdlib.h>

#include "image_support.h"

#include "../../flows/flow_impl.h"

static const leat_flow_call no_context;

static leat_tensor run(leat_transform *t, leat_tensor x, bool inverse)
{
    leat_tape *tape = test_tape(t->module.model);
    leat_pair y = leat_transform_run(t, leat_const(tape, x), &no_context, inverse);
    assert_tape(tape);
    return leat_value(y.y);
}

/* 0, 1, 2, .. in that shape. */
static leat_tensor counted(leat_shape shape)
{
    leat_tensor t = leat_tensor_new(test_arena(), shape, NULL);
    cr_assert_not_null(t.data);
    for (int64_t i = 0; i < leat_shape_count(&shape); i++)
        t.data[i] = (leat_real)i;
    return t;
}

/* ---- squeeze ----------------------------------------------------------------------------------------------------- */

static const struct {
    leat_squeeze_order order;
    leat_shape row;
    leat_real squeezed[16];
} squeezes[] = {
    { LEAT_SQUEEZE_CHANNELS, { 3, { 2, 2, 1 } }, { 0, 1, 2, 3 } },
    { LEAT_SQUEEZE_CHANNELS, { 3, { 2, 2, 2 } }, { 0, 2, 4, 6, 1, 3, 5, 7 } },
    { LEAT_SQUEEZE_CHANNELS, { 3, { 2, 4, 1 } }, { 0, 1, 4, 5, 2, 3, 6, 7 } },
    { LEAT_SQUEEZE_DIAGONAL, { 3, { 2, 2, 1 } }, { 0, 3, 1, 2 } },
    { LEAT_SQUEEZE_DIAGONAL, { 3, { 2, 2, 2 } }, { 0, 1, 6, 7, 2, 3, 4, 5 } },
    { LEAT_SQUEEZE_DIAGONAL, { 3, { 2, 4, 1 } }, { 0, 5, 1, 4, 2, 7, 3, 6 } },
    { LEAT_SQUEEZE_CHECKERBOARD, { 3, { 2, 4, 1 } }, { 0, 1, 2, 3, 5, 4, 7, 6 } },
    { LEAT_SQUEEZE_CHECKERBOARD, { 3, { 3, 2, 2 } }, { 0, 1, 2, 3, 6, 7, 4, 5, 8, 9, 10, 11 } },
};

Test(image_transforms, squeezes_put_numbers_where_they_belong)
{
    for (size_t i = 0; i < sizeof squeezes / sizeof *squeezes; i++) {
        leat_model *m = test_model(0);
        leat_shape row = squeezes[i].row, rows = LEAT_SHAPE(1, row.size[0], row.size[1], row.size[2]), to = row;
        leat_transform *t = leat_squeeze_transform(m, row, squeezes[i].order);
        leat_transform *back = leat_unsqueeze_transform(m, row, squeezes[i].order);
        assert_model(m);
        leat_tensor x = counted(rows), y = run(t, x, false);
        for (int64_t k = 0; k < leat_shape_count(&row); k++)
            cr_assert_eq(y.data[k], squeezes[i].squeezed[k], "squeeze %zu, number %lld is %g", i, (long long)k,
                         (double)y.data[k]);
        cr_assert(leat_transform_row(t, &to) && to.size[2] * to.size[1] * to.size[0] == leat_shape_count(&row));
        leat_shape got = y.shape;
        cr_assert(got.rank == 4 && got.size[1] == to.size[0] && got.size[2] == to.size[1] && got.size[3] == to.size[2]);
        cr_assert(leat_transform_row(back, &to) && leat_shape_equal(&to, &row));
        assert_near(run(t, y, true), x, 0, 1, "back");
        assert_near(run(back, y, false), x, 0, 1, "turned round");
        assert_near(run(back, x, true), y, 0, 1, "turned round, back");
        leat_model_free(m);
    }
}

Test(image_transforms, squeezes_tell_where_moved_numbers_go)
{
    for (int order = 0; order < 3; order++) {
        for (int back = 0; back < 2; back++) {
            leat_model *m = test_model(0);
            leat_shape row = LEAT_SHAPE(4, 6, 2), from = row;
            leat_transform *t =
                (back ? leat_unsqueeze_transform : leat_squeeze_transform)(m, row, (leat_squeeze_order)order);
            if (back)
                leat_transform_row(leat_squeeze_transform(m, row, (leat_squeeze_order)order), &from);
            leat_tensor x = counted(LEAT_SHAPE(1, from.size[0], from.size[1], from.size[2])), y = run(t, x, false);
            for (int64_t k = 0; k < 48; k++) {
                bool moved[48] = { 0 };
                moved[k] = true;
                leat_transform_trace(t, 48, moved);
                for (int64_t i = 0; i < 48; i++)
                    cr_assert_eq(moved[i], (int64_t)y.data[i] == k, "order %d, %lld", order, (long long)k);
            }
            leat_model_free(m);
        }
    }
}

static const struct {
    leat_shape row;
    leat_squeeze_order order;
    const char *says;
} bad_squeezes[] = {
    { { 3, { 7, 7, 4 } }, LEAT_SQUEEZE_CHANNELS, "[7,7,4]: both sides must be even; padded to 8 x 8 they fit" },
    { { 3, { 4, 7, 1 } }, LEAT_SQUEEZE_DIAGONAL, "padded to 4 x 8" },
    { { 3, { 5, 7, 1 } }, LEAT_SQUEEZE_CHECKERBOARD, "the width must be even; padded to 5 x 8" },
    { { 2, { 4, 4 } }, LEAT_SQUEEZE_CHANNELS, "[height,width,channels], not [4,4]" },
    { { 3, { 0, 4, 4 } }, LEAT_SQUEEZE_CHANNELS, "[height,width,channels], not [0,4,4]" },
};

Test(image_transforms, odd_sides_are_refused)
{
    for (size_t i = 0; i < sizeof bad_squeezes / sizeof *bad_squeezes; i++) {
        leat_model *m = test_model(0);
        leat_squeeze_transform(m, bad_squeezes[i].row, bad_squeezes[i].order);
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        assert_contains(leat_model_errmsg(m), bad_squeezes[i].says);
        leat_model_free(m);
    }
    leat_model *m = test_model(0);
    leat_transform *t = leat_squeeze_transform(m, LEAT_SHAPE(4, 4, 1), LEAT_SQUEEZE_CHANNELS);
    leat_tape *tape = test_tape(m);
    leat_transform_run(t, leat_const(tape, counted(LEAT_SHAPE(2, 4, 2, 2))), &no_context, false);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(tape), "a squeeze of rows [4,4,1] is given rows [4,2,2]");
    leat_model_free(m);
}

/* ---- checkerboard ------------------------------------------------------------------------------------------------ */

Test(image_transforms, checkerboards_take_and_merge)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_checkerboard(m, LEAT_SHAPE(2, 3, 2), 0); /* keeps 1, 3, 5 of the six positions */
    cr_assert(mask.kept == 2 && mask.moved == 2 && mask.dim == 2);
    leat_tape *t = test_tape(m);
    leat_var x = leat_input(t, counted(LEAT_SHAPE(1, 2, 3, 2)));
    leat_var y = leat_input(t, test_normal(1, 3, 2, 1)), moved = leat_reshape(y, LEAT_SHAPE(1, 3, 2));
    const leat_real *fresh = leat_value(y).data;
    leat_tensor kept = { (leat_real[]){ 0, 0, 2, 3, 0, 0, 6, 7, 0, 0, 10, 11 }, LEAT_SHAPE(1, 2, 3, 2) };
    leat_tensor out = { (leat_real[]){ 0, 1, 4, 5, 8, 9 }, LEAT_SHAPE(1, 3, 2) };
    leat_tensor all = { (leat_real[]){ fresh[0], fresh[1], 2, 3, fresh[2], fresh[3], 6, 7, fresh[4], fresh[5], 10, 11 },
                        LEAT_SHAPE(1, 2, 3, 2) };
    assert_near(leat_value(leat_mask_kept(&mask, x)), kept, 0, 1, "kept");
    assert_near(leat_value(leat_mask_moved(&mask, x)), out, 0, 1, "moved");
    leat_var merged = leat_mask_merge(&mask, x, moved);
    assert_near(leat_value(merged), all, 0, 1, "merged");
    cr_assert_eq(leat_vjp(merged, counted(LEAT_SHAPE(1, 2, 3, 2))), LEAT_OK, "%s", leat_tape_errmsg(t));
    assert_near(leat_grad(x), kept, 0, 1, "gradient of x");
    assert_near(leat_grad(y), (leat_tensor){ out.data, LEAT_SHAPE(3, 2) }, 0, 1, "gradient of what is moved");
    leat_real taken[6];
    leat_mask_take(&mask, leat_value(x), taken);
    cr_assert_eq(memcmp(taken, out.data, sizeof taken), 0);
    leat_tensor copy = counted(LEAT_SHAPE(1, 2, 3, 2));
    leat_mask_put(&mask, copy, fresh);
    assert_near(copy, all, 0, 1, "put");
    cr_assert(leat_mask_keeps(&mask, copy, all));
    copy.data[3] = 0;
    cr_assert_not(leat_mask_keeps(&mask, copy, all));
    leat_model_free(m);
}

/* Both colours of the board, by parity, against the definition. */
Test(image_transforms, checkerboards_keep_the_white_or_the_black)
{
    for (int parity = 0; parity < 2; parity++) {
        leat_model *m = test_model(0);
        leat_mask mask = leat_mask_checkerboard(m, LEAT_SHAPE(3, 5, 2), parity);
        bool moved[30] = { 0 };
        leat_mask_trace(&mask, 30, moved);
        for (int k = 0; k < 30; k++)
            cr_assert_eq(moved[k], (k / 10 + k / 2 % 5 + parity) % 2 == 0, "parity %d, number %d", parity, k);
        leat_model_free(m);
    }
    leat_model *m = test_model(0);
    leat_mask_checkerboard(m, LEAT_SHAPE(4, 4), 0);
    assert_contains(leat_model_errmsg(m), "[height,width,channels], not [4,4]");
    leat_model_free(m);
}

/* Other positions kept, as a file may say: as many as before, told by ones and zeros. */
Test(image_transforms, masks_from_files)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_checkerboard(m, LEAT_SHAPE(2, 2, 3), 0); /* keeps 1 and 2 */
    leat_status s = { 0 };
    cr_assert_eq(leat_mask_set(&mask, (leat_real[]){ 1, 0, 0, 1 }, &s), LEAT_OK, "%s", s.message);
    cr_assert(mask.kept == 3 && mask.moved == 3);
    bool moved[12] = { 0 };
    leat_mask_trace(&mask, 12, moved);
    for (int i = 0; i < 12; i++)
        cr_assert_eq(moved[i], i / 3 == 1 || i / 3 == 2);
    cr_assert_eq(leat_mask_set(&mask, (leat_real[]){ 1, 0, 1, 1 }, &s), LEAT_EFORMAT);
    assert_contains(s.message, "keeps 3 positions, and the model was built for 2");
    s = (leat_status){ 0 };
    cr_assert_eq(leat_mask_set(&mask, (leat_real[]){ 1, 0.5, 0, 0 }, &s), LEAT_EFORMAT);
    assert_contains(s.message, "position 2 is 0.5");
    leat_model_free(m);
}

/* ---- dequantisation ---------------------------------------------------------------------------------------------- */

/* Every byte's v lies in its level, whatever the chance, and comes back as the level's byte. */
Test(image_transforms, dequantisation_stays_in_its_level)
{
    for (int bits = 1; bits <= 8; bits++) {
        leat_model *m = test_model(0);
        leat_transform *d = leat_dequantize(m, 256, bits);
        leat_tape *t = test_tape(m);
        double levels = ldexp(1, bits), mean = 0;
        leat_tensor x = counted(LEAT_SHAPE(1, 256)), many = test_tensor(4000, 256);
        for (int64_t i = 0; i < 4000 * 256; i++)
            many.data[i] = x.data[i % 256];
        leat_pair y = leat_transform_forward(d, leat_const(t, many), &no_context);
        leat_pair back = leat_transform_inverse(d, y.y, &no_context);
        assert_tape(t);
        const leat_real *v = leat_value(y.y).data, *byte = leat_value(back.y).data;
        for (int64_t i = 0; i < 4000 * 256; i++) {
            double level = floor((double)(i % 256) * levels / 256), at = (double)v[i] * levels - level;
            cr_assert(at >= 0 && at < 1 && v[i] > 0, "%d bits, %lld: %.9g", bits, (long long)(i % 256), (double)v[i]);
            cr_assert_eq((double)byte[i], level * 256 / levels);
            mean += at;
        }
        cr_assert_float_eq(mean / (4000 * 256), 0.5, 0.002, "%d bits: u is %g in the mean", bits, mean / (4000 * 256));
        cr_assert_float_eq((double)leat_value(y.logdet).data[7], -256 * bits * log(2), 1e-4);
        cr_assert_eq(leat_value(back.logdet).data[7], -leat_value(y.logdet).data[7]);
        cr_assert(leat_transform_is_bound(d));
        leat_model_free(m);
    }
}

/* What no latent gives exactly is clamped to the levels that there are. */
Test(image_transforms, what_is_drawn_are_bytes)
{
    leat_model *m = test_model(0);
    leat_tensor v = { (leat_real[]){ -3, 0, (leat_real)0.999, 1, 7, 0.5 }, LEAT_SHAPE(1, 6) };
    leat_tensor eight = { (leat_real[]){ 0, 0, 255, 255, 255, 128 }, LEAT_SHAPE(1, 6) };
    leat_tensor two = { (leat_real[]){ 0, 0, 192, 192, 192, 128 }, LEAT_SHAPE(1, 6) };
    assert_near(run(leat_dequantize(m, 6, 8), v, true), eight, 0, 1, "8 bits");
    assert_near(run(leat_dequantize(m, 6, 2), v, true), two, 0, 1, "2 bits");
    leat_model_free(m);
}

static const double no_bytes[] = { 0.5, -1, 256, 1e9, 254.99 };

Test(image_transforms, what_is_no_byte_is_refused)
{
    for (size_t i = 0; i < sizeof no_bytes / sizeof *no_bytes; i++) {
        leat_model *m = test_model(0);
        leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
        leat_flow_add(f, leat_dequantize(m, 3, 8));
        leat_tape *t = test_tape(m);
        double score[2];
        leat_tensor x = counted(LEAT_SHAPE(2, 3));
        x.data[4] = (leat_real)no_bytes[i];
        cr_assert_eq(leat_flow_score(f, t, x, score), LEAT_EARG);
        assert_contains(leat_tape_errmsg(t), "layers.0: ");
        assert_contains(leat_tape_errmsg(t), "row 2, number 2 is ");
        x.data[4] = (leat_real)NAN; /* a row of which nothing is known spoils no other */
        cr_assert_eq(leat_flow_score(f, t, x, score), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert(isfinite(score[0]) && isnan(score[1]));
        leat_model_free(m);
    }
    for (int bits = 0; bits < 10; bits += 9) {
        leat_model *m = test_model(0);
        leat_dequantize(m, 3, bits);
        assert_contains(leat_model_errmsg(m), "bits, which are 1 to 8");
        leat_model_free(m);
    }
}

/* ---- logit ------------------------------------------------------------------------------------------------------- */

Test(image_transforms, logit_of_known_numbers)
{
    leat_model *m = test_model(0);
    leat_tape *t = test_tape(m);
    leat_transform *l = leat_logit(m, 0.05);
    leat_tensor v = { (leat_real[]){ 0, 0.5, 1, 0.25 }, LEAT_SHAPE(1, 2, 1, 2) };
    double logdet = 0;
    leat_pair w = leat_transform_forward(l, leat_const(t, v), &no_context);
    assert_tape(t);
    for (int i = 0; i < 4; i++) {
        double y = 0.05 + 0.9 * (double)v.data[i];
        cr_assert_float_eq((double)leat_value(w.y).data[i], log(y / (1 - y)), CLOSE, "%d", i);
        logdet += log(0.9 / (y * (1 - y)));
    }
    cr_assert_float_eq(leat_item(w.logdet), logdet, 4 * CLOSE);
    assert_near(run(l, leat_value(w.y), true), v, CLOSE, 1, "back");
    leat_model_free(m);
}

Test(image_transforms, logit_of_no_sense_is_refused)
{
    static const double alphas[] = { -0.1, 0.5, 7, (double)NAN };
    for (size_t i = 0; i < 4; i++) {
        leat_model *m = test_model(0);
        leat_logit(m, alphas[i]);
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        assert_contains(leat_model_errmsg(m), "from 0 to below 1/2");
        leat_model_free(m);
    }
}
