/* Fitting: what is refused, what goes wrong on the way, and memory. */
#include "fit_support.h"

#include <criterion/parameterized.h>

#include <stdlib.h>
#include <unistd.h>

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const struct {
    leat_fit_opts o;
    int64_t context; /* of the flow */
    int data;        /* 0: none, 1: x, 2: x of three columns, 3: x with a NaN, 4: an infinity, 5: no rows, 6: one row */
    int given;       /* context: 0: none, 1: c, 2: of other rows, 3: with a NaN */
    leat_code code;
    const char *message;
} refusals[] = {
    { { .epochs = 0 }, 0, 0, 0, LEAT_ESHAPE, "the data are missing, not [rows,2]" },
    { { .epochs = 0 }, 0, 2, 0, LEAT_ESHAPE, "the data are [40,3], not [rows,2]" },
    { { .epochs = 0 }, 0, 3, 0, LEAT_ENONFINITE, "data, row 4, column 2 (from 1): nan is not a finite number" },
    { { .epochs = 0 }, 0, 4, 0, LEAT_ENONFINITE, "data, row 4, column 2 (from 1): -inf is not" },
    { { .epochs = 0 }, 0, 5, 0, LEAT_ESHAPE, "have no rows" },
    { { .epochs = 0 }, 0, 1, 1, LEAT_ESHAPE, "not conditional and there is a context of shape [40,1]" },
    { { .epochs = 0 }, 1, 1, 0, LEAT_ESHAPE, "conditional and there is no context of 1 features" },
    { { .epochs = 0 }, 1, 1, 2, LEAT_ESHAPE, "the context is [39,1], not [40,1]" },
    { { .epochs = 0 }, 1, 1, 3, LEAT_ENONFINITE, "context, row 6, column 1 (from 1): nan" },
    { { .batch = -1 }, 0, 1, 0, LEAT_EARG, "batches of -1 rows" },
    { { .epochs = -1 }, 0, 1, 0, LEAT_EARG, "-1 epochs" },
    { { .patience = -2 }, 0, 1, 0, LEAT_EARG, "a patience of -2" },
    { { .patience = 2 }, 0, 1, 0, LEAT_EARG, "a patience of 2 needs validation rows" },
    { { .validation = 1 }, 0, 1, 0, LEAT_EARG, "a validation part of 1" },
    { { .validation = -0.1 }, 0, 1, 0, LEAT_EARG, "a validation part of -0.1" },
    { { .validation = (double)NAN }, 0, 1, 0, LEAT_EARG, "a validation part of" },
    { { .validation = 0.01 }, 0, 1, 0, LEAT_EARG, "holds out no row of 40" },
    { { .validation = 0.99 }, 0, 1, 0, LEAT_EARG, "leaves no row of 40" },
    { { .validation = 0.4 }, 0, 6, 0, LEAT_EARG, "holds out no row of 1" },
    { { .held_last = 40 }, 0, 1, 0, LEAT_EARG, "holding out 40 leaves no row of 40" },
    { { .held_last = 41 }, 0, 1, 0, LEAT_EARG, "holding out 41 leaves no row of 40" },
    { { .held_last = -1 }, 0, 1, 0, LEAT_EARG, "-1 rows are held out" },
    { { .held_last = 3, .validation = 0.5 }, 0, 1, 0, LEAT_EARG, "3 rows are held out, and a validation part of 0.5" },
    { { .ema = 1 }, 0, 1, 0, LEAT_EARG, "ema is 1" },
    { { .ema = (double)NAN }, 0, 1, 0, LEAT_EARG, "ema is" },
    { { .bytes = { (const uint8_t *)"abcdef", 2, 3 } }, 0, 1, 0, LEAT_ESHAPE, "the data are [2,3], not [rows,2]" },
    { { .lr = -1 }, 0, 1, 0, LEAT_EARG, "lr is -1" },
    { { .weight_decay = (double)INFINITY }, 0, 1, 0, LEAT_EARG, "weight_decay is inf" },
    { { .clip = (double)NAN }, 0, 1, 0, LEAT_EARG, "clip is" },
    { { .optimiser = (leat_fit_optimiser)5 }, 0, 1, 0, LEAT_EARG, "no optimiser 5" },
};

Test(fit, refusals)
{
    for (size_t k = 0; k < sizeof refusals / sizeof *refusals; k++) {
        leat_model *m = test_model(3);
        leat_fit_opts o = refusals[k].o;
        leat_tensor x, c;
        fit_data(5, 40, &x, &c);
        int data = refusals[k].data, given = refusals[k].given;
        o.data = data == 0 ? (leat_tensor){ 0 } : data == 2 ? test_normal(1, 40, 3, 1) : x;
        if (data == 3 || data == 4)
            x.data[7] = data == 3 ? (leat_real)NAN : -(leat_real)INFINITY;
        if (data == 5 || data == 6)
            o.data.shape.size[0] = data - 5;
        if (given == 2)
            c.shape.size[0]--;
        if (given == 3)
            c.data[5] = (leat_real)NAN;
        if (given)
            o.context = c;
        leat_fit *f = leat_fit_new(fit_flow(m, refusals[k].context, false), &o);
        cr_assert_not_null(f);
        cr_assert_eq(leat_fit_status(f)->code, refusals[k].code, "case %zu: %s", k, leat_fit_status(f)->message);
        assert_contains(leat_fit_status(f)->message, refusals[k].message);
        cr_assert_eq(leat_fit_run(f), refusals[k].code);
        cr_assert_eq(leat_fit_epoch(f, NULL), refusals[k].code);
        assert_model(m); /* a wrong fit does not spoil the model */
        leat_model_free(m);
    }
}

Test(fit, what_could_not_be_built)
{
    leat_status s = { 0 };
    cr_assert_null(leat_fit_new(NULL, &(leat_fit_opts){ 0 }));
    cr_assert_eq(leat_fit_run(NULL), LEAT_ESTATE);
    cr_assert_eq(leat_fit_epoch(NULL, NULL), LEAT_ESTATE);
    cr_assert_eq(leat_fit_use_best(NULL, true), LEAT_ESTATE);
    cr_assert_eq(leat_fit_save(NULL, "nowhere", 0, NULL, &s), LEAT_ESTATE);
    assert_contains(s.message, "nowhere: the fit is missing");
    cr_assert(leat_fit_get_state(NULL).done);

    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    leat_model *m = test_model(3);
    leat_fit *f = leat_fit_new(leat_nice_new(m, &(leat_nice_opts){ .dim = -2 }), &(leat_fit_opts){ .data = x });
    cr_assert_not_null(f);
    cr_assert_eq(leat_fit_run(f), LEAT_EARG);
    cr_assert_str_eq(leat_fit_status(f)->message, leat_model_errmsg(m));
    leat_model_free(m);
}

/* ---- what goes wrong on the way ---------------------------------------------------------------------------------- */

static bool stop_at_five(void *user, leat_fit *f, const leat_step_report *r)
{
    (void)f, (void)r;
    return ++*(int64_t *)user != 5;
}

/* Of the weights of a fit like that below, after so many epochs. */
static uint64_t hash_after_epochs(leat_tensor x, int64_t epochs)
{
    leat_model *m = test_model(3);
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &(leat_fit_opts){ .data = x, .epochs = epochs, .batch = 16 });
    cr_assert_eq(leat_fit_run(f), LEAT_OK);
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

Test(fit, a_loss_that_is_not_finite)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    leat_model *m = test_model(3);
    int64_t steps = 0;
    leat_fit_opts o = { .data = x, .epochs = 40, .batch = 16, .on_step = stop_at_five, .user = &steps };
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &o);
    cr_assert_eq(leat_fit_run(f), LEAT_OK); /* behind step 2 of epoch 2 */
    uint64_t hash = hash_after_epochs(x, 1);
    for (int i = 0; i < 80; i++)
        x.data[i] = (leat_real)NAN;
    cr_assert_eq(leat_fit_run(f), LEAT_ENONFINITE);
    assert_contains(leat_fit_status(f)->message, "stopped at step 3 of epoch 2: ");
    cr_assert_eq(leat_model_hash(m), hash);
    cr_assert(leat_fit_get_state(f).sound);
    cr_assert_eq(leat_fit_run(f), LEAT_ENONFINITE, "the error is gone");
    cr_assert_eq(steps, 5);
    leat_status s = { 0 };
    cr_assert_eq(leat_fit_save(f, "/dev/null", 0, NULL, &s), LEAT_ENONFINITE);
    assert_contains(s.message, "/dev/null: stopped at step 3 of epoch 2: ");
    leat_model_free(m);
}

/* Nothing sound was ever there: the weights are what they were, and it is said. */
Test(fit, a_first_loss_that_is_not_finite)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    x.data[0] = (leat_real)(sizeof(leat_real) == 8 ? 1e200 : 1e30);
    leat_model *m = test_model(3);
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &(leat_fit_opts){ .data = x, .epochs = 2 });
    uint64_t hash = leat_model_hash(m);
    cr_assert_eq(leat_fit_run(f), LEAT_ENONFINITE);
    cr_assert_not(leat_fit_get_state(f).sound);
    cr_assert_eq(leat_model_hash(m), hash);
    leat_model_free(m);
}

/* The weights after the last step are looked at, whatever ruined them: a step without bounds, or a decay. What stays is
 * what was before, and no checkpoint is made of the ruins. */
Test(fit, a_last_step_that_ruins_the_weights)
{
    static const leat_fit_opts options[] = {
        { .lr = 1e30 },
        { .lr = 1e30, .batch = 20 },
        { .lr = 0.1, .weight_decay = sizeof(leat_real) == 8 ? 1e300 : 1e39, .optimiser = LEAT_FIT_SGD },
        { .lr = 1e30, .optimiser = LEAT_FIT_SGD },
        { .lr = 1e30, .validation = 0.25 },
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        leat_tensor x, c;
        fit_data(5, 40, &x, &c);
        leat_model *m = test_model(3);
        leat_fit_opts o = options[i];
        o.data = x;
        o.epochs = 1;
        leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &o);
        uint64_t hash = leat_model_hash(m);
        leat_status s = { 0 };
        cr_assert_eq(leat_fit_run(f), LEAT_ENONFINITE, "case %zu", i);
        assert_contains(leat_fit_status(f)->message, "epoch 1: ");
        cr_assert(leat_fit_get_state(f).sound);
        cr_assert_eq(leat_model_hash(m), hash, "case %zu", i);

        leat_model *again = test_model(3);
        leat_fit *g = leat_fit_new(fit_flow(again, 0, false), &o);
        if (!leat_fit_epoch(g, NULL)) {
            cr_assert_eq(leat_fit_save(g, "/dev/null", 0, NULL, &s), LEAT_ENONFINITE);
            assert_contains(s.message, "the loss with the last weights is");
        }
        leat_model_free(again);
        leat_model_free(m);
    }
}

/* Of a run that fails after some epochs the best ones stay. */
Test(fit, the_best_weights_stay_after_a_failure)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    leat_model *m = test_model(3);
    leat_schedule fall = { LEAT_STEP, .steps = 6, .value = 1e30 }; /* three steps an epoch */
    leat_fit_opts o = { .data = x, .epochs = 5, .batch = 10, .validation = 0.25, .schedule = &fall };
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &o);
    cr_assert_eq(leat_fit_run(f), LEAT_ENONFINITE);
    cr_assert_eq(leat_fit_get_state(f).epoch, 2);
    cr_assert(leat_fit_get_state(f).sound);
    uint64_t hash = leat_model_hash(m);
    int64_t best = leat_fit_get_state(f).best_epoch;
    leat_model_free(m);

    m = test_model(3);
    o.epochs = best;
    f = leat_fit_new(fit_flow(m, 0, false), &o);
    cr_assert_eq(leat_fit_run(f), LEAT_OK);
    cr_assert_eq(leat_model_hash(m), hash);
    leat_model_free(m);
}

/* A row so far out that its density is 0, and that nobody trains on. */
Test(fit, a_validation_loss_that_is_not_finite)
{
    leat_tensor x, c;
    bool held[40];
    int64_t far = 0;
    fit_data(5, 40, &x, &c);
    held_rows(0, 40, 20, held);
    while (!held[far])
        far++;
    x.data[2 * far] = (leat_real)(sizeof(leat_real) == 8 ? 1e200 : 1e30);
    leat_model *m = test_model(3);
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &(leat_fit_opts){ .data = x, .epochs = 3, .validation = 0.5 });
    char row[40];
    cr_assert_eq(leat_fit_run(f), LEAT_ENONFINITE);
    assert_contains(leat_fit_status(f)->message, "stopped at the validation of epoch 1: ");
    snprintf(row, sizeof row, "row %lld of the data (from 1)", (long long)far + 1);
    assert_contains(leat_fit_status(f)->message, row);
    leat_model_free(m);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

typedef struct counter {
    leat_allocator allocator;
    int64_t calls, limit, blocks; /* limit: calls that are answered, -1 for all */
    bool once;                    /* and all after the one that was not */
} counter;

static void *count_allocate(void *user, size_t bytes)
{
    counter *c = user;
    bool fails = c->limit >= 0 && (c->once ? c->calls == c->limit : c->calls >= c->limit);
    void *block = fails ? NULL : malloc(bytes);
    c->calls++;
    c->blocks += block != NULL;
    return block;
}

static void count_release(void *user, void *block)
{
    ((counter *)user)->blocks -= block != NULL;
    free(block);
}

static leat_fit *counted_fit(counter *c, leat_tensor x, leat_model **m)
{
    c->allocator = (leat_allocator){ count_allocate, count_release, c };
    *m = leat_model_new(&(leat_model_opts){ .seed = 3, .threads = 1, .allocator = &c->allocator });
    if (!*m)
        return NULL;
    leat_flow *flow = leat_nice_new(*m, &(leat_nice_opts){ .dim = 2, .couplings = 2, .hidden = { 8 }, .scale = true });
    leat_fit_opts o = { .data = x, .epochs = 4, .batch = 9, .validation = 0.3, .lr = 1e-2 };
    return leat_fit_new(flow, &o);
}

Test(fit, no_allocation_from_the_second_epoch_on)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    counter count = { .limit = -1 };
    leat_model *m;
    leat_fit *f = counted_fit(&count, x, &m);
    cr_assert_eq(leat_fit_epoch(f, NULL), LEAT_OK, "%s", leat_fit_status(f)->message);
    int64_t before = count.calls;
    for (int i = 0; i < 40; i++)
        cr_assert_eq(leat_fit_epoch(f, NULL), LEAT_OK);
    cr_assert_eq(count.calls, before);
    leat_model_free(m);
    cr_assert_eq(count.blocks, 0);
}

/* Runs, saves and resumes; the first failure. */
static leat_code whole_life(leat_fit *f, const char *path)
{
    leat_code code = leat_fit_run(f);
    if (!code)
        code = leat_fit_save(f, path, 0, NULL, NULL);
    return code ? code : leat_fit_resume(f, path, NULL);
}

/* Every call may fail, alone or with all that follow: LEAT_ENOMEM is told, or nothing is lost by it, and nothing leaks. */
ParameterizedTestParameters(fit, out_of_memory)
{
    static int once[] = { 0, 1 };
    return cr_make_param_array(int, once, 2);
}

ParameterizedTest(const int *once, fit, out_of_memory)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    char path[] = "/tmp/leat-fit-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    bool whole = false;
    uint64_t right = 0;
    for (int64_t limit = -1; !whole; limit++) {
        counter count = { .limit = limit, .once = *once };
        leat_model *m;
        leat_fit *f = counted_fit(&count, x, &m);
        leat_code code = whole_life(f, path);
        cr_assert(code == LEAT_OK || code == LEAT_ENOMEM || (code == LEAT_ESTATE && !f), "%d after %lld calls: %s",
                  code, (long long)limit, leat_fit_status(f)->message);
        right = limit < 0 ? leat_model_hash(m) : right;
        cr_assert(code || leat_model_hash(m) == right, "%lld calls", (long long)limit);
        whole = code == LEAT_OK && count.calls <= limit;
        leat_model_free(m);
        cr_assert_eq(count.blocks, 0, "%lld blocks leak", (long long)count.blocks);
    }
    unlink(path);
}
