/* Permutations, reversal, diagonal scale: what they do, what they save, what they refuse. Parity with PyTorch and the
 * Jacobians are elsewhere. */
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static const leat_flow_call no_context;

static leat_tensor forward(leat_transform *t, leat_tensor x)
{
    leat_tape *tape = test_tape(t->module.model);
    leat_pair y = leat_transform_forward(t, leat_const(tape, x), &no_context);
    assert_tape(tape);
    return leat_value(y.y);
}

static leat_tensor inverse(leat_transform *t, leat_tensor z)
{
    leat_tape *tape = test_tape(t->module.model);
    leat_pair y = leat_transform_inverse(t, leat_const(tape, z), &no_context);
    assert_tape(tape);
    return leat_value(y.y);
}

Test(transforms, permutation)
{
    leat_model *m = test_model(0);
    static const int64_t order[4] = { 2, 0, 3, 1 };
    leat_transform *t = leat_permutation(m, 4, order);
    leat_tensor x = test_normal(1, 3, 4, 1), y = forward(t, x);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++)
            cr_assert_eq(y.data[4 * i + j], x.data[4 * i + order[j]]);
    }
    assert_near(inverse(t, y), x, 0, 1, "inverse");
    leat_model_free(m);
}

Test(transforms, reverse)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_reverse(m, 5);
    leat_tensor x = test_normal(1, 3, 5, 1), y = forward(t, x);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++)
            cr_assert_eq(y.data[5 * i + j], x.data[5 * i + 4 - j]);
    }
    assert_near(inverse(t, y), x, 0, 1, "inverse");
    leat_model_free(m);
}

/* Where each feature of a row 0, 1, 2, ... has gone; fails if one is missing. */
static void order_of(leat_transform *t, int64_t dim, int64_t *order)
{
    leat_tensor x = test_tensor(1, dim);
    for (int64_t j = 0; j < dim; j++)
        x.data[j] = (leat_real)j;
    leat_tensor y = forward(t, x);
    bool seen[64] = { false };
    for (int64_t j = 0; j < dim; j++) {
        order[j] = (int64_t)y.data[j];
        cr_assert(order[j] >= 0 && order[j] < dim && !seen[order[j]]);
        seen[order[j]] = true;
    }
}

Test(transforms, random_permutations_follow_the_seed)
{
    int64_t order[4][20];
    for (uint64_t seed = 0; seed < 2; seed++) {
        leat_model *m = test_model(seed);
        leat_transform *first = leat_permutation(m, 20, NULL), *second = leat_permutation(m, 20, NULL);
        order_of(first, 20, order[2 * seed]);
        order_of(second, 20, order[2 * seed + 1]);
        leat_model_free(m);
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++)
            cr_assert_neq(memcmp(order[i], order[j], sizeof order[i]), 0, "permutations %d and %d are equal", i, j);
    }
    leat_model *m = test_model(1);
    int64_t again[20];
    leat_permutation(m, 20, NULL);
    order_of(leat_permutation(m, 20, NULL), 20, again);
    cr_assert_eq(memcmp(again, order[3], sizeof again), 0);
    leat_model_free(m);
}

static const int64_t not_orders[][3] = { { 0, 0, 1 }, { 0, 1, 3 }, { -1, 0, 1 }, { 2, 2, 2 } };

Test(transforms, orders_refused_on_creation)
{
    for (size_t i = 0; i < sizeof not_orders / sizeof *not_orders; i++) {
        leat_model *m = test_model(0);
        leat_permutation(m, 3, not_orders[i]);
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        assert_contains(leat_model_errmsg(m), "permutation");
        leat_model_free(m);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/leat-transforms-XXXXXX", path[100];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
}

static void drop_folder(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0);
}

Test(transforms, order_is_saved, .init = make_folder, .fini = drop_folder)
{
    int64_t order[2][20];
    leat_model *m[2];
    for (int i = 0; i < 2; i++) {
        leat_status s = { 0 };
        m[i] = test_model((uint64_t)i);
        leat_transform *t = leat_permutation(m[i], 20, NULL);
        cr_assert_eq(i ? leat_load(m[i], path, &s) : leat_save(m[i], path, 0, NULL, &s), LEAT_OK, "%s", s.message);
        order_of(t, 20, order[i]);
        assert_near(inverse(t, forward(t, test_normal(1, 3, 20, 1))), test_normal(1, 3, 20, 1), 0, 1, "round trip");
    }
    cr_assert_eq(memcmp(order[0], order[1], sizeof order[0]), 0);
    leat_model_free(m[0]);
    leat_model_free(m[1]);
}

static const double bad_orders[][3] = { { 0, 0, 1 },           { 0, 1, 3 },  { 0, 1, 1.5 },
                                        { 0, 1, (double)NAN }, { -1, 0, 1 }, { 0, 1, 1e30 } };

Test(transforms, orders_refused_after_load, .init = make_folder, .fini = drop_folder)
{
    for (size_t i = 0; i < sizeof bad_orders / sizeof *bad_orders; i++) {
        leat_model *m = test_model(0);
        leat_transform *t = leat_permutation(m, 3, (int64_t[]){ 1, 2, 0 });
        uint64_t hash = leat_model_hash(m);
        leat_real numbers[3];
        for (int j = 0; j < 3; j++)
            numbers[j] = (leat_real)bad_orders[i][j];
        leat_safetensors_entry entry = { "order", { numbers, LEAT_SHAPE(3) }, NULL };
        leat_status s = { 0 };
        cr_assert_eq(leat_safetensors_write(path, &(leat_safetensors){ .count = 1, .entries = &entry }, &s), LEAT_OK);
        cr_assert_neq(leat_load(m, path, &s), LEAT_OK, "order %zu", i);
        assert_contains(s.message, "permutation");
        cr_assert_eq(leat_model_hash(m), hash);
        int64_t order[3];
        order_of(t, 3, order);
        cr_assert(order[0] == 1 && order[1] == 2 && order[2] == 0);
        assert_near(inverse(t, forward(t, test_normal(1, 4, 3, 1))), test_normal(1, 4, 3, 1), 0, 1, "round trip");
        leat_model_free(m);
    }
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

Test(transforms, shapes_refused)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 3));
    leat_mask mask = leat_mask_alternating(m, 3, 0);
    leat_flow_add(flow, leat_permutation(m, 3, NULL));
    leat_flow_add(flow, leat_reverse(m, 3));
    leat_flow_add(flow, leat_diagonal_scale(m, 3));
    leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, test_net(m, &mask, 0, 1)));
    assert_model(m);
    static const char *const layers[] = { "layers.0", "layers.1", "layers.2", "layers.3" };
    for (int i = 0; i < leat_flow_length(flow); i++) {
        for (int k = 0; k < 2; k++) {
            leat_tape *tape = test_tape(m);
            leat_var x = leat_const(tape, test_normal(1, 6, 4, 1));
            leat_transform *t = leat_flow_layer(flow, i);
            leat_pair y = (k ? leat_transform_inverse : leat_transform_forward)(t, x, &no_context);
            cr_assert_not(leat_ok(y.y) || leat_ok(y.logdet));
            cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
            assert_contains(leat_tape_errmsg(tape), layers[i]);
            assert_contains(leat_tape_errmsg(tape), "[6,4]");
            assert_contains(leat_tape_errmsg(tape), "[batch,3]");
        }
    }
    leat_model_free(m);
}

Test(transforms, of_nothing_refused)
{
    for (int i = 0; i < 3; i++) {
        leat_model *m = test_model(0);
        if (i == 0)
            leat_permutation(m, 0, NULL);
        else
            (i == 1 ? leat_reverse : leat_diagonal_scale)(m, 0);
        cr_assert_eq(leat_model_code(m), LEAT_EARG, "transform %d", i);
        leat_model_free(m);
    }
}
