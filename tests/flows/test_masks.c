/* Which features masks keep, taking them out and putting them back, and what a mask must not be. */
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

#include "../../flows/flow_impl.h"

typedef enum { ALTERNATING, HALVES } kind;

/* what is kept, as text: "01010" */
static const struct {
    kind kind;
    int parity;
    const char *kept;
} table[] = {
    { ALTERNATING, 0, "01" }, { ALTERNATING, 1, "10" }, { ALTERNATING, 0, "01010" }, { ALTERNATING, 1, "10101" },
    { ALTERNATING, 0, "0" },  { ALTERNATING, 1, "1" },  { ALTERNATING, 2, "010" },   { ALTERNATING, 3, "101" },
    { HALVES, 0, "10" },      { HALVES, 1, "01" },      { HALVES, 0, "11000" },      { HALVES, 1, "00111" },
    { HALVES, 0, "0" },       { HALVES, 1, "1" },       { HALVES, 0, "111000" },     { HALVES, 1, "000111" },
};

Test(masks, what_is_kept)
{
    leat_model *m = test_model(0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t dim = (int64_t)strlen(table[i].kept), kept = 0, moved = 0;
        leat_mask mask = (table[i].kind == HALVES ? leat_mask_halves : leat_mask_alternating)(m, dim, table[i].parity);
        assert_model(m);
        cr_assert_eq(mask.dim, dim);
        for (int64_t j = 0; j < dim; j++) {
            bool keeps = table[i].kept[j] == '1';
            bool touched[9] = { false };
            leat_mask_trace(&mask, dim, touched);
            cr_assert_eq(touched[j], !keeps, "mask %zu, feature %lld", i, (long long)j);
            kept += keeps;
            moved += !keeps;
        }
        cr_assert(mask.kept == kept && mask.moved == moved, "mask %zu", i);
    }
    leat_model_free(m);
}

Test(masks, values_are_copied)
{
    leat_model *m = test_model(0);
    leat_real values[3] = { 1, 0, 1 };
    leat_mask mask = leat_mask_of(m, 3, values);
    values[0] = values[2] = 0;
    bool moved[3] = { false };
    leat_mask_trace(&mask, 3, moved);
    cr_assert(mask.kept == 2 && mask.moved == 1 && !moved[0] && moved[1] && !moved[2]);
    leat_model_free(m);
}

Test(masks, take_and_merge)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_of(m, 4, (leat_real[]){ 0, 1, 1, 0 });
    leat_tape *tape = test_tape(m);
    leat_real numbers[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, fresh[4] = { -1, -2, -3, -4 };
    leat_var x = leat_input(tape, (leat_tensor){ numbers, LEAT_SHAPE(2, 4) });
    leat_var y = leat_input(tape, (leat_tensor){ fresh, LEAT_SHAPE(2, 2) });
    leat_var merged = leat_mask_merge(&mask, x, y);
    assert_near(leat_value(leat_mask_kept(&mask, x)), (leat_tensor){ (leat_real[]){ 2, 3, 6, 7 }, LEAT_SHAPE(2, 2) }, 0,
                1, "kept");
    assert_near(leat_value(leat_mask_moved(&mask, x)), (leat_tensor){ (leat_real[]){ 1, 4, 5, 8 }, LEAT_SHAPE(2, 2) },
                0, 1, "moved");
    assert_near(leat_value(merged), (leat_tensor){ (leat_real[]){ -1, 2, 3, -2, -3, 6, 7, -4 }, LEAT_SHAPE(2, 4) }, 0,
                1, "merged");

    cr_assert_eq(leat_vjp(merged, (leat_tensor){ numbers, LEAT_SHAPE(2, 4) }), LEAT_OK, "%s", leat_tape_errmsg(tape));
    assert_near(leat_grad(x), (leat_tensor){ (leat_real[]){ 0, 2, 3, 0, 0, 6, 7, 0 }, LEAT_SHAPE(2, 4) }, 0, 1,
                "gradient of x");
    assert_near(leat_grad(y), (leat_tensor){ (leat_real[]){ 1, 4, 5, 8 }, LEAT_SHAPE(2, 2) }, 0, 1,
                "gradient of moved");
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const double not_a_mask[] = { 0.5, 2, -1, 1e-7, (double)NAN, (double)INFINITY };

Test(masks, refused_on_creation)
{
    for (size_t i = 0; i < sizeof not_a_mask / sizeof *not_a_mask; i++) {
        leat_model *m = test_model(0);
        leat_mask mask = leat_mask_of(m, 2, (leat_real[]){ 1, (leat_real)not_a_mask[i] });
        cr_assert_eq(leat_model_code(m), LEAT_EARG, "%g", not_a_mask[i]);
        assert_contains(leat_model_errmsg(m), "mask");
        /* what is built on it may not be used, and says the same */
        leat_flow *flow = leat_flow_new(m, leat_normal(m, 2));
        leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, leat_mlp(m, 1, (int64_t[]){ 0 }, 1, LEAT_RELU)));
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        leat_model_free(m);
    }
}

Test(masks, no_features_refused)
{
    for (int i = 0; i < 3; i++) {
        leat_model *m = test_model(0);
        if (i == 0)
            leat_mask_alternating(m, 0, 0);
        else if (i == 1)
            leat_mask_halves(m, -3, 1);
        else
            leat_mask_of(m, 0, NULL);
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        leat_model_free(m);
    }
}

/* ---- masks from files -------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/leat-masks-XXXXXX";

static const char *file(const char *name)
{
    static char path[2][200];
    static int which;
    which = !which;
    snprintf(path[which], sizeof path[which], "%s/%s", folder, name);
    return path[which];
}

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void drop_folder(void)
{
    unlink(file("saved"));
    unlink(file("changed"));
    cr_assert_eq(rmdir(folder), 0);
}

static leat_flow *saved_flow(leat_model *m)
{
    leat_status s = { 0 };
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = 3, .hidden = { 5 } });
    cr_assert_eq(leat_save(m, file("saved"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    return flow;
}

/* The saved model with other numbers in one of its tensors. */
static void change_file(const char *name, const leat_real *numbers, int64_t n)
{
    leat_safetensors f;
    leat_status s = { 0 };
    cr_assert_eq(
        leat_safetensors_read(access(file("changed"), F_OK) ? file("saved") : file("changed"), test_arena(), &f, &s),
        LEAT_OK, "%s", s.message);
    leat_tensor t = fixture_get(&f, name);
    cr_assert_eq(leat_shape_count(&t.shape), n);
    memcpy(t.data, numbers, (size_t)n * sizeof *numbers);
    cr_assert_eq(leat_safetensors_write(file("changed"), &f, &s), LEAT_OK, "%s", s.message);
}

static leat_tensor latent(leat_flow *flow, leat_tensor x)
{
    leat_tape *tape = test_tape(leat_flow_model(flow));
    leat_tensor z = leat_value(leat_flow_forward(flow, leat_const(tape, x)).y);
    assert_tape(tape);
    return z;
}

static const struct {
    leat_real values[2];
    const char *says;
} bad_masks[] = {
    { { 0, (leat_real)0.5 }, "0.5" },  { { 1, 1 }, "mask" }, { { 0, 0 }, "mask" }, { { 2, 0 }, "mask" },
    { { 0, (leat_real)NAN }, "mask" },
};

/* Refused wherever it stands, and then nothing has changed: neither numbers nor what derives from other masks. */
Test(masks, refused_after_load, .init = make_folder, .fini = drop_folder)
{
    leat_tensor x = test_normal(1, 10, 2, 1);
    for (size_t i = 0; i < sizeof bad_masks / sizeof *bad_masks; i++) {
        leat_model *m = test_model(0);
        leat_flow *flow = saved_flow(m);
        leat_tensor before = latent(flow, x);
        uint64_t hash = leat_model_hash(m);
        unlink(file("changed"));
        change_file("layers.0.mask", (leat_real[]){ 1, 0 }, 2); /* legal, and not what the model has */
        change_file("layers.0.net.0.bias", (leat_real[]){ 9, 9, 9, 9, 9 }, 5);
        change_file("layers.2.mask", bad_masks[i].values, 2);
        leat_status s = { 0 };
        cr_assert_neq(leat_load(m, file("changed"), &s), LEAT_OK, "mask %zu", i);
        assert_contains(s.message, "layers.2");
        assert_contains(s.message, bad_masks[i].says);
        cr_assert_eq(leat_model_hash(m), hash, "mask %zu: the model has changed", i);
        assert_near(latent(flow, x), before, 0, 1, "the flow after a refused load");
        leat_model_free(m);
    }
}

Test(masks, another_mask_from_a_file, .init = make_folder, .fini = drop_folder)
{
    leat_model *m = test_model(0);
    leat_flow *flow = saved_flow(m);
    leat_status s = { 0 };
    change_file("layers.0.mask", (leat_real[]){ 1, 0 }, 2);
    cr_assert_eq(leat_load(m, file("changed"), &s), LEAT_OK, "%s", s.message);
    leat_tape *tape = test_tape(m);
    leat_var x = leat_const(tape, test_normal(1, 10, 2, 1));
    leat_tensor y = leat_value(leat_transform_forward(leat_flow_layer(flow, 0), x, &(leat_flow_call){ 0 }).y);
    assert_tape(tape);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(y.data[2 * i], leat_value(x).data[2 * i]);
        cr_assert_neq(y.data[2 * i + 1], leat_value(x).data[2 * i + 1]);
    }
    leat_model_free(m);
}
