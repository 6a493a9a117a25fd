/* Memory of training that recomputes: how much, how often it is asked for, and what happens when there is none. */
#include "recompute_support.h"

#include <stdlib.h>

static size_t peak_of(bool affine, int64_t dim, int couplings, leat_recompute how, bool reverse)
{
    leat_model *m = test_model(1);
    int64_t hidden = 16 * dim;
    leat_flow *f =
        affine
            ? leat_realnvp_new(m,
                               &(leat_realnvp_opts){ .dim = dim, .couplings = couplings, .hidden = { hidden, hidden } })
            : leat_nice_new(m,
                            &(leat_nice_opts){
                                .dim = dim, .couplings = couplings, .hidden = { hidden, hidden }, .reverse = reverse });
    leat_flow_set_recompute(f, how);
    leat_tape *t = test_tape(m);
    leat_tensor x = test_normal(1, 256, dim, 1);
    for (int step = 0; step < 2; step++) {
        leat_tape_reset(t);
        cr_assert_eq(leat_backward(loss_of(f, t, x)), LEAT_OK, "%s", leat_tape_errmsg(t));
        leat_clear_grads(t);
    }
    size_t peak = leat_tape_get_stats(t).peak_bytes;
    leat_model_free(m);
    return peak;
}

/* 64 couplings against 4: at most 1.5 times with inputs kept, 1.1 with inverses; an ordinary step's is far more. */
Test(recompute_memory, memory_hardly_grows_with_depth)
{
    for (int affine = 0; affine < 2; affine++) {
        for (int64_t dim = 2; dim <= 4; dim += 2) {
            size_t plain = peak_of(affine, dim, 4, LEAT_RECOMPUTE_NONE, false);
            size_t few = peak_of(affine, dim, 4, LEAT_RECOMPUTE_FORWARD, false);
            size_t many = peak_of(affine, dim, 64, LEAT_RECOMPUTE_FORWARD, false);
            cr_assert_leq((double)many, 1.5 * (double)few, "%zu, %zu", few, many);
            cr_assert_lt(few, plain);
            few = peak_of(affine, dim, 4, LEAT_RECOMPUTE_INVERT, false);
            many = peak_of(affine, dim, 64, LEAT_RECOMPUTE_INVERT, false);
            cr_assert_leq((double)many, 1.1 * (double)few, "%zu, %zu", few, many);
        }
    }
    cr_assert_gt(peak_of(false, 2, 64, LEAT_RECOMPUTE_NONE, false),
                 8 * peak_of(false, 2, 4, LEAT_RECOMPUTE_NONE, false));
}

/* A permutation's inverse is exact: it is undone, and nothing kept of it. */
Test(recompute_memory, permutations_cost_nothing)
{
    size_t without = peak_of(false, 4, 64, LEAT_RECOMPUTE_FORWARD, false),
           with = peak_of(false, 4, 64, LEAT_RECOMPUTE_FORWARD, true);
    cr_assert_leq(with, without + 64 * 200);
}

/* Without recording, memory is that of the largest transform, whatever the depth. */
Test(recompute_memory, inference_does_not_grow_with_depth)
{
    size_t peak[2];
    for (int i = 0; i < 2; i++) {
        leat_model *m = test_model(1);
        leat_flow *f =
            leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = i ? 64 : 4, .hidden = { 32, 32 } });
        leat_flow_set_recompute(f, LEAT_RECOMPUTE_FORWARD);
        leat_tape *t = test_tape(m);
        leat_tape_set_recording(t, false);
        loss_of(f, t, rows_of(1, 2));
        assert_tape(t);
        peak[i] = leat_tape_get_stats(t).peak_bytes;
        leat_model_free(m);
    }
    cr_assert_eq(peak[0], peak[1]);
}

/* Gradients of activations are freed on the way back, in an ordinary step too. */
Test(recompute_memory, gradients_do_not_add_up_with_depth)
{
    size_t more[2];
    for (int i = 0; i < 2; i++) {
        leat_model *m = test_model(1);
        leat_flow *f =
            leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = i ? 64 : 4, .hidden = { 32, 32 } });
        leat_tape *t = test_tape(m);
        leat_var loss = loss_of(f, t, rows_of(1, 2));
        size_t before = leat_tape_get_stats(t).bytes;
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        more[i] = leat_tape_get_stats(t).bytes - before;
        leat_model_free(m);
    }
    cr_assert_eq(more[0], more[1]);
}

typedef struct ledger {
    leat_allocator allocator;
    int64_t calls, limit; /* limit: calls after which there is no memory, -1: none */
} ledger;

static void *ledger_allocate(void *user, size_t bytes)
{
    ledger *l = user;
    return l->calls++ == l->limit ? NULL : malloc(bytes);
}

static void ledger_release(void *user, void *block)
{
    (void)user;
    free(block);
}

Test(recompute_memory, a_step_does_not_allocate_from_the_third_on)
{
    static const int threads[] = { 1, 2, 3, 8 };
    for (int how = 0; how < 3; how++) {
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            ledger l = { .limit = -1 };
            l.allocator = (leat_allocator){ ledger_allocate, ledger_release, &l };
            leat_model *m =
                leat_model_new(&(leat_model_opts){ .seed = 1, .threads = threads[i], .allocator = &l.allocator });
            leat_flow *f = mixed(m);
            leat_flow_set_recompute(f, (leat_recompute)how);
            leat_optim *adam = leat_adam_new(m, NULL);
            leat_tape *t = test_tape(m);
            int64_t before = 0;
            for (int step = 1; step <= 8; step++) {
                before = step == 3 ? l.calls : before;
                cr_assert_eq(step_once(f, t, 4), LEAT_OK, "%s", leat_tape_errmsg(t));
                cr_assert_eq(leat_optim_step(adam), LEAT_OK);
            }
            cr_assert_eq(l.calls, before);
            leat_model_free(m);
        }
    }
}

/* Each allocation fails in turn: then the step does, no parameter has a gradient, and the next step is as it should. */
Test(recompute_memory, out_of_memory_anywhere)
{
    uint64_t hash = 0;
    leat_code code = LEAT_ENOMEM;
    for (int how = 1; how < 3; how++) {
        for (int64_t limit = -1; limit < 0 || code; limit++) {
            ledger l = { .limit = -1 };
            l.allocator = (leat_allocator){ ledger_allocate, ledger_release, &l };
            leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1, .threads = 1, .allocator = &l.allocator });
            leat_flow *f = realnvp(m);
            leat_flow_set_recompute(f, (leat_recompute)how);
            leat_optim *adam = leat_adam_new(m, NULL);
            leat_tape *t = test_tape(m);
            cr_assert_eq(leat_model_seal(m), LEAT_OK);
            l.limit = limit < 0 ? -1 : l.calls + limit;
            code = step_once(f, t, 3);
            cr_assert(code == LEAT_OK || code == LEAT_ENOMEM, "%s", leat_tape_errmsg(t));
            cr_assert_eq(leat_find_param(m, "layers.5.snet.0.weight")->leaf.has_grad, code == LEAT_OK);
            l.limit = -1;
            if (code)
                cr_assert_eq(step_once(f, t, 3), LEAT_OK, "%s", leat_tape_errmsg(t));
            cr_assert_eq(leat_optim_step(adam), LEAT_OK);
            if (limit < 0)
                hash = leat_model_hash(m);
            cr_assert_eq(leat_model_hash(m), hash);
            leat_model_free(m);
        }
    }
}
