/* Memory: no allocation in a training step from the third on, and an allocator that fails at every call in turn. */
#include "nn_helpers.h"

#include <criterion/parameterized.h>

TestSuite(memory, .init = make_folder, .fini = remove_folder);

/* A whole life: build, train, save, load. The first failure is returned, from wherever it comes. */
typedef struct life {
    leat_model *model;
    leat_module *net;
    leat_optim *optim[5];
    leat_ema *ema;
    leat_batches *batches;
    leat_tape *tape;
    int steps; /* each with the next optimiser */
} life;

static leat_code life_begin(life *l, const leat_allocator *allocator, int threads, leat_tensor data)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1, .threads = threads, .allocator = allocator });
    *l = (life){ .model = m };
    if (!m)
        return LEAT_ENOMEM;
    holder *h = holder_new(m, true);
    holder_add(h, leat_mlp(m, 4, (int64_t[]){ 60, 300, 60, 0 }, 4, LEAT_RELU), "net");
    l->net = h ? &h->module : NULL;
    leat_set_init(l->net, "weight", leat_init_orthogonal(1));
    l->optim[0] = leat_adam_new(m, NULL);
    l->optim[1] = leat_sgd_new(m, &(leat_sgd_opts){ .momentum = 0.5 });
    l->optim[2] = leat_adamw_new(m, NULL);
    l->optim[3] = leat_adamax_new(m, NULL);
    l->optim[4] = leat_rmsprop_new(m, &(leat_rmsprop_opts){ .lr = 1e-4, .momentum = 0.5, .centered = true });
    l->ema = leat_ema_new(m, 0.9);
    l->batches = leat_batches_new(m, data, &(leat_batches_opts){ .size = 40 });
    l->tape = leat_model_tape(m, NULL);
    return leat_model_code(m);
}

static leat_code life_step(life *l)
{
    leat_tensor batch;
    leat_tape_reset(l->tape);
    while (!leat_batches_next(l->batches, &batch))
        ;
    leat_var loss = leat_mean(leat_square(leat_forward(l->net, leat_const(l->tape, batch))));
    leat_code code = leat_backward(loss);
    if (code)
        return code;
    leat_clip_grad_norm(l->model, 0.5);
    leat_clip_grad_value(l->model, 0.1);
    leat_optim *o = l->optim[l->steps++ % 5];
    leat_optim_set_group(o, l->net, &(leat_group){ .lr = 1e-3 / l->steps });
    code = leat_optim_step(o);
    leat_ema_update(l->ema);
    return code;
}

Test(memory, a_step_does_not_allocate_from_the_third_on)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor data = make_data(&a, LEAT_SHAPE(100, 4), 3);
    for (int threads = 1; threads <= 3; threads++) {
        ledger counts;
        ledger_init(&counts, -1);
        life l;
        cr_assert_eq(life_begin(&l, &counts.allocator, threads, data), LEAT_OK, "%s", leat_model_errmsg(l.model));
        int64_t before = counts.calls;
        for (int step = 0; step < 2; step++)
            cr_assert_eq(life_step(&l), LEAT_OK, "%s", leat_tape_errmsg(l.tape));
        cr_assert_gt(counts.calls, before);
        before = counts.calls;
        for (int step = 0; step < 8; step++) /* the batches of an epoch have 40, 40 and 20 rows */
            cr_assert_eq(life_step(&l), LEAT_OK, "%s", leat_tape_errmsg(l.tape));
        cr_assert_eq(counts.calls, before);
        leat_model_free(l.model);
        cr_assert_eq(counts.blocks, 0);
    }
    leat_arena_free(&a);
}

/* Every call may fail, alone or with all that follow: then LEAT_ENOMEM is reported or nothing is lost by it, whatever was
 * there before is unchanged, and nothing leaks. */
ParameterizedTestParameters(memory, failing_while_building_and_training)
{
    static int once[] = { 0, 1 };
    return cr_make_param_array(int, once, 2);
}

ParameterizedTest(const int *once, memory, failing_while_building_and_training)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor data = make_data(&a, LEAT_SHAPE(100, 4), 3);
    bool whole = false;
    uint64_t right = 0;
    for (int64_t limit = -1; !whole; limit++) {
        ledger counts;
        ledger_init(&counts, limit);
        counts.once = *once;
        life l;
        leat_code code = life_begin(&l, &counts.allocator, 1, data);
        cr_assert_eq(leat_model_code(l.model), code);
        uint64_t hash = code ? 0 : leat_model_hash(l.model);
        for (int step = 0; step < 3 && !code; step++) {
            code = life_step(&l);
            if (code)
                cr_assert_eq(leat_model_hash(l.model), hash);
            else
                hash = leat_model_hash(l.model);
        }
        cr_assert(code == LEAT_OK || code == LEAT_ENOMEM, "call %lld: %d", (long long)limit, code);
        right = limit < 0 ? hash : right;
        cr_assert(code || hash == right, "call %lld", (long long)limit);
        whole = code == LEAT_OK && limit >= counts.calls;
        leat_model_free(l.model);
        cr_assert_eq(counts.blocks, 0);
        cr_assert_lt(limit, 1000);
    }
    leat_arena_free(&a);
}

Test(memory, failing_for_a_module)
{
    ledger counts;
    ledger_init(&counts, -1);
    leat_model *m = leat_model_new(&(leat_model_opts){ .allocator = &counts.allocator });
    counts.limit = counts.calls;
    cr_assert_null(leat_module_new(m, &holder_type, (size_t)1 << 24));
    CHECK_FAILED(m, LEAT_ENOMEM, "holder: out of memory for a module");
    leat_model_free(m);
}

Test(memory, a_step_can_be_repeated_when_there_is_memory_again)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor data = make_data(&a, LEAT_SHAPE(100, 4), 3);
    leat_code code = LEAT_ENOMEM;
    for (int64_t limit = 0; code; limit++) {
        ledger counts;
        ledger_init(&counts, -1);
        life l;
        cr_assert_eq(life_begin(&l, &counts.allocator, 1, data), LEAT_OK);
        uint64_t hash = leat_model_hash(l.model);
        counts.limit = counts.calls + limit;
        code = life_step(&l);
        if (code) {
            cr_assert_eq(code, LEAT_ENOMEM);
            cr_assert_eq(leat_tape_code(l.tape), LEAT_ENOMEM);
            cr_assert_eq(leat_model_hash(l.model), hash);
        }
        counts.limit = -1;
        cr_assert_eq(life_step(&l), LEAT_OK, "%s", leat_tape_errmsg(l.tape));
        cr_assert_neq(leat_model_hash(l.model), hash);
        leat_model_free(l.model);
        cr_assert_eq(counts.blocks, 0);
    }
    leat_arena_free(&a);
}

Test(memory, failing_while_saving_and_loading)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor data = make_data(&a, LEAT_SHAPE(100, 4), 3);
    ledger counts;
    ledger_init(&counts, -1);
    life l;
    leat_status s = { 0 };
    cr_assert_eq(life_begin(&l, &counts.allocator, 1, data), LEAT_OK);
    cr_assert_eq(leat_save(l.model, in_folder("start"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(life_step(&l), LEAT_OK);
    uint64_t hash = leat_model_hash(l.model);
    int64_t blocks = counts.blocks, failures = 0;
    leat_code code = LEAT_ENOMEM;
    for (int64_t limit = 0; code; limit++, failures++) {
        leat_status now = { 0 };
        counts.limit = counts.calls + limit;
        code = leat_save(l.model, in_folder("later"), 0, NULL, &now);
        cr_assert(code == LEAT_OK || (code == LEAT_ENOMEM && access(in_folder("later"), F_OK) != 0));
        cr_assert_eq(now.code, code);
        cr_assert_eq(counts.blocks, blocks);
    }
    cr_assert_gt(failures, 1);
    failures = 0;
    code = LEAT_ENOMEM;
    for (int64_t limit = 0; code; limit++, failures++) {
        leat_status now = { 0 };
        counts.limit = counts.calls + limit;
        code = leat_load(l.model, in_folder("start"), &now);
        cr_assert(code == LEAT_OK || code == LEAT_ENOMEM, "%s", now.message);
        cr_assert_eq(now.code, code);
        cr_assert_eq(leat_model_hash(l.model) == hash, code != LEAT_OK);
        cr_assert_eq(counts.blocks, blocks);
        cr_assert_eq(leat_model_code(l.model), LEAT_OK);
    }
    cr_assert_gt(failures, 2);
    leat_model_free(l.model);
    cr_assert_eq(counts.blocks, 0);
    leat_arena_free(&a);
}

Test(memory, summary_reports_a_full_arena)
{
    ledger counts;
    ledger_init(&counts, 0);
    leat_model *m = leat_model_new(NULL);
    leat_mlp(m, 2, NULL, 2, LEAT_RELU);
    leat_arena a;
    leat_arena_init(&a, &counts.allocator);
    cr_assert_null(leat_summary(m, &a));
    leat_arena_free(&a);
    leat_model_free(m);
}
