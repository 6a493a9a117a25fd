/* Checkpoints: a run that is stopped, saved and resumed in another model has the bits of one that never stopped. */
#define _GNU_SOURCE /* memmem */
#include "fit_support.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 83 };

static char folder[100];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/leat-resume-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(resume, .init = make_folder, .fini = remove_folder);

static const char *path_of(const char *name)
{
    return leat_arena_format(test_arena(), "%s/%s", folder, name);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static const leat_schedule warm = { LEAT_WARMUP, .steps = 5, .value = 0.1 };
static const leat_schedule cosine = { LEAT_COSINE, .steps = 20, .value = 0.01 };
static const leat_schedule warm_cosine = { LEAT_THEN, .steps = 5, .first = &warm, .second = &cosine };

static const leat_fit_opts cases[] = {
    { .batch = 20 },
    { .batch = 20, .validation = 0.3, .lr = 0.03 },
    { .batch = 7, .validation = 0.3, .lr = 0.05, .patience = 2 },
    { .batch = 20, .optimiser = LEAT_FIT_ADAMW, .weight_decay = 0.1, .schedule = &warm_cosine, .clip = 0.5 },
    { .batch = 20, .optimiser = LEAT_FIT_ADAMAX, .seed = 12 },
    { .batch = 20, .optimiser = LEAT_FIT_RMSPROP, .validation = 0.1 },
    { .batch = 20, .lr = 0.03, .ema = 0.9 },
    { .batch = 20, .lr = 0.03, .ema = 0.9, .held_last = 20 },
    { .batch = 200, .optimiser = LEAT_FIT_SGD, .lr = 1e-2 },
};
enum { CASES = sizeof cases / sizeof *cases };

/* A model and a fit of so many epochs at most; the seed is the model's, whose start a resume makes forget. */
typedef struct run {
    leat_model *model;
    leat_fit *fit;
} run;

static run run_of(int k, uint64_t seed, int64_t epochs, leat_tensor x, leat_tensor c)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed, .threads = 1 + (int)(seed % 3) });
    cr_assert_not_null(m);
    leat_fit_opts o = cases[k];
    o.data = x;
    if (c.data)
        o.context = c;
    o.epochs = epochs;
    leat_fit *f = leat_fit_new(fit_flow(m, c.data ? 1 : 0, true), &o);
    assert_fit(f);
    return (run){ m, f };
}

static void go(run r)
{
    cr_assert_eq(leat_fit_run(r.fit), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
}

static void save(run r, const char *path)
{
    leat_status s = { 0 };
    cr_assert_eq(leat_fit_save(r.fit, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
}

/* Into a fit that has been somewhere else, so that nothing is right by chance. */
static void resume(run r, const char *path)
{
    leat_status s = { 0 };
    cr_assert_eq(leat_fit_epoch(r.fit, NULL), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
    cr_assert_eq(leat_fit_resume(r.fit, path, &s), LEAT_OK, "%s", s.message);
}

static void assert_same_file(const char *a, const char *b)
{
    char *one, *other;
    size_t size, n;
    cr_assert_eq(leat_file_read(a, test_arena(), &one, &size, NULL), LEAT_OK);
    cr_assert_eq(leat_file_read(b, test_arena(), &other, &n, NULL), LEAT_OK);
    cr_assert(size == n && memcmp(one, other, n) == 0, "%s and %s differ", a, b);
}

/* Weights in use, losses, and by what a checkpoint says: last and best weights, optimiser, counts. */
static void assert_same_run(run a, run b)
{
    assert_same_history(a.fit, b.fit);
    cr_assert_eq(leat_model_hash(a.model), leat_model_hash(b.model));
    save(a, path_of("one"));
    save(b, path_of("other"));
    assert_same_file(path_of("one"), path_of("other"));
}

/* 6 epochs at once; 2 and 4; and 6 times one, with and without a context. */
Test(resume, epochs)
{
    leat_tensor x, c, none = { 0 };
    fit_data(1, ROWS, &x, &c);
    for (int k = 0; k < CASES; k++) {
        run whole = run_of(k, 1, 6, x, k % 2 ? c : none);
        go(whole);
        run first = run_of(k, 1, 2, x, k % 2 ? c : none), second = run_of(k, 99, 6, x, k % 2 ? c : none);
        go(first);
        save(first, path_of("checkpoint"));
        resume(second, path_of("checkpoint"));
        go(second);
        assert_same_run(whole, second);
        leat_model_free(first.model);
        leat_model_free(second.model);
        for (int64_t i = 0; i < 6; i++) {
            run one = run_of(k, i ? 50 + (uint64_t)i : 1, i + 1, x, k % 2 ? c : none);
            if (i)
                resume(one, path_of("checkpoint"));
            go(one);
            save(one, path_of("checkpoint"));
            if (i == 5)
                assert_same_run(whole, one);
            leat_model_free(one.model);
        }
        leat_model_free(whole.model);
    }
}

static bool stop_at(void *user, leat_fit *f, const leat_step_report *r)
{
    (void)f;
    return (r->epoch - 1) * r->steps + r->step != *(const int64_t *)user;
}

/* Behind any step, the last one of an epoch too. */
Test(resume, inside_an_epoch)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    for (int k = 0; k < 4; k++) {
        run whole = run_of(k, 1, 3, x, c);
        int64_t steps = leat_fit_get_state(whole.fit).steps;
        go(whole);
        for (int64_t stop = 1; stop <= 3 * steps; stop++) {
            leat_model *m = test_model(1);
            leat_fit_opts o = cases[k];
            o.data = x;
            o.context = c;
            o.epochs = 3;
            o.on_step = stop_at;
            o.user = &stop;
            run cut = { m, leat_fit_new(fit_flow(m, 1, true), &o) }, rest = run_of(k, 77, 3, x, c);
            go(cut);
            cr_assert(leat_fit_get_state(cut.fit).stopped);
            save(cut, path_of("checkpoint"));
            resume(rest, path_of("checkpoint"));
            leat_fit_state s = leat_fit_get_state(rest.fit);
            cr_assert_eq(s.epoch * steps + s.step, stop);
            go(rest);
            assert_same_run(whole, rest);
            leat_model_free(cut.model);
            leat_model_free(rest.model);
        }
        leat_model_free(whole.model);
    }
}

/* Patience ends a resumed run in the same epoch, and one that was over stays so until there is more patience. */
Test(resume, early_stopping)
{
    leat_tensor x, c, none = { 0 };
    fit_data(1, ROWS, &x, &c);
    run whole = run_of(2, 1, 200, x, none);
    go(whole);
    leat_fit_state s = leat_fit_get_state(whole.fit);
    cr_assert(s.out_of_patience && s.epoch > 3 && s.epoch < 200, "%lld epochs", (long long)s.epoch);
    for (int64_t at = 1; at <= s.epoch; at++) {
        run first = run_of(2, 1, at, x, none), second = run_of(2, 8, 200, x, none);
        go(first);
        save(first, path_of("checkpoint"));
        resume(second, path_of("checkpoint"));
        go(second);
        assert_same_run(whole, second);
        leat_model_free(first.model);
        leat_model_free(second.model);
    }
    leat_model *m = test_model(5), *n = test_model(1);
    leat_fit_opts o = cases[2];
    o.data = x;
    o.epochs = s.epoch + 3;
    o.patience = 0;
    run patient = { m, leat_fit_new(fit_flow(m, 0, true), &o) }, always = { n, leat_fit_new(fit_flow(n, 0, true), &o) };
    save(whole, path_of("checkpoint")); /* while the best weights are in its model */
    resume(patient, path_of("checkpoint"));
    go(patient);
    go(always);
    assert_same_run(always, patient);
    leat_model_free(whole.model);
    leat_model_free(m);
    leat_model_free(n);
}

/* Weights that do not move: the first epoch stays the best. */
Test(resume, an_equal_loss_is_no_better)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(1);
        leat_flow *flow = fit_flow(m, 0, false);
        leat_freeze((leat_module *)flow, true);
        run r = { m, leat_fit_new(flow, &(leat_fit_opts){ .data = x, .epochs = 3, .validation = 0.5 }) };
        if (k)
            resume(r, path_of("checkpoint"));
        go(r);
        cr_assert_eq(leat_fit_get_state(r.fit).best_epoch, 1);
        save(r, path_of("checkpoint"));
        leat_model_free(m);
    }
}

/* A checkpoint of nothing; and saving twice gives the same file, whatever the number of threads. */
Test(resume, before_the_first_step)
{
    leat_tensor x, c, none = { 0 };
    fit_data(1, ROWS, &x, &c);
    run one = run_of(1, 1, 3, x, none), other = run_of(1, 2, 3, x, none);
    save(one, path_of("checkpoint"));
    resume(other, path_of("checkpoint"));
    save(other, path_of("again"));
    assert_same_file(path_of("checkpoint"), path_of("again"));
    go(one);
    go(other);
    assert_same_run(one, other);
    leat_model_free(one.model);
    leat_model_free(other.model);
}

/* Back to an earlier state of the same fit. */
Test(resume, back_in_time)
{
    leat_tensor x, c, none = { 0 };
    fit_data(1, ROWS, &x, &c);
    run one = run_of(1, 1, 4, x, none), other = run_of(1, 1, 4, x, none);
    cr_assert_eq(leat_fit_epoch(one.fit, NULL), LEAT_OK);
    save(one, path_of("checkpoint"));
    go(one);
    resume(one, path_of("checkpoint"));
    cr_assert_eq(leat_fit_get_state(one.fit).epoch, 1);
    go(one);
    go(other);
    assert_same_run(one, other);
    leat_model_free(one.model);
    leat_model_free(other.model);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void refused(leat_fit *f, leat_model *m, const char *path, leat_code code, const char *message)
{
    leat_status s = { 0 };
    leat_fit_state was = leat_fit_get_state(f);
    uint64_t hash = leat_model_hash(m);
    cr_assert_eq(leat_fit_resume(f, path, &s), code, "%d: %s", s.code, s.message);
    assert_contains(s.message, path);
    assert_contains(s.message, message);
    cr_assert_eq(leat_model_hash(m), hash);
    cr_assert_eq(leat_fit_get_state(f).epoch, was.epoch);
    assert_fit(f);
}

static const struct {
    leat_fit_opts o;
    const char *message;
} others[] = {
    { { .batch = 20 }, "made with another validation: 0.25 there, 0.0 here" },
    { { .batch = 21, .validation = 0.25 }, "made with another batch: 20 there, 21 here" },
    { { .batch = 20, .validation = 0.25, .lr = 0.002 }, "made with another lr: 0.001 there, 0.002 here" },
    { { .batch = 20, .validation = 0.25, .optimiser = LEAT_FIT_ADAMW }, "another optimiser: adam there, adamw here" },
    { { .batch = 20, .validation = 0.25, .weight_decay = 0.1 }, "another weight_decay: 0.0 there, 0.1 here" },
    { { .batch = 20, .validation = 0.25, .clip = 2 }, "another clip: 0.0 there, 2.0 here" },
    { { .batch = 20, .held_last = 21 }, "made with another validation: 0.25 there, last 21 here" },
    { { .batch = 20, .validation = 0.25, .ema = 0.99 },
      "made with another optimiser: adam there, adam, ema 0.99 here" },
    { { .batch = 20, .validation = 0.25, .seed = 1 }, "another seed: 0 there, 1 here" },
    { { .batch = 20, .validation = 0.25, .schedule = &warm_cosine },
      "another schedule: constant there, then(5, warmup(5, 0.1), cosine(20, 0.01)) here" },
};

static void make_checkpoint(leat_tensor x, const char *path)
{
    leat_model *m = test_model(1);
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false),
                               &(leat_fit_opts){ .data = x, .epochs = 2, .batch = 20, .validation = 0.25 });
    go((run){ m, f });
    save((run){ m, f }, path);
    leat_model_free(m);
}

Test(resume, other_options)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    make_checkpoint(x, path_of("checkpoint"));
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        leat_model *m = test_model(2);
        leat_fit_opts o = others[k].o;
        o.data = x;
        leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &o);
        refused(f, m, path_of("checkpoint"), LEAT_EARG, others[k].message);
        leat_model_free(m);
    }
}

/* One bit of one number of the context, and all else the same. */
Test(resume, another_context)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(1);
        leat_fit *f = leat_fit_new(fit_flow(m, 1, false), &(leat_fit_opts){ .data = x, .context = c });
        if (k)
            refused(f, m, path_of("checkpoint"), LEAT_EARG, "made with other data: [83,2]");
        else
            save((run){ m, f }, path_of("checkpoint"));
        ((unsigned char *)&c.data[ROWS - 1])[0] ^= 1;
        leat_model_free(m);
    }
}

/* One bit of one number; a row less; a context. */
Test(resume, other_data)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    make_checkpoint(x, path_of("checkpoint"));
    for (int k = 0; k < 3; k++) {
        leat_model *m = test_model(1);
        leat_tensor y = test_tensor(ROWS, 2);
        memcpy(y.data, x.data, ROWS * 2 * sizeof(leat_real));
        if (k == 0)
            ((unsigned char *)&y.data[2 * ROWS - 1])[0] ^= 1;
        y.shape.size[0] -= k == 1;
        leat_fit_opts o = { .data = y, .batch = 20, .validation = 0.25 };
        if (k == 2)
            o.context = c;
        refused(leat_fit_new(fit_flow(m, k == 2, false), &o), m, path_of("checkpoint"), LEAT_EARG,
                "made with other data: [83,2]");
        leat_model_free(m);
    }
}

Test(resume, another_model)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    make_checkpoint(x, path_of("checkpoint"));
    for (int k = 0; k < 3; k++) {
        leat_model *m = test_model(1);
        leat_flow *flow = k == 0   ? fit_flow(m, 0, true)
                          : k == 1 ? leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = 2 })
                                   : leat_flow_new(m, leat_diagonal_normal(m, 2)); /* a part of what was saved */
        leat_fit *f = leat_fit_new(flow, &(leat_fit_opts){ .data = x, .batch = 20, .validation = 0.25 });
        static const char *const messages[] = { "another model: this one has no 'layers.0.net.2.weight'",
                                                "another model: this one has no 'base.loc'",
                                                "another model: this one has no 'layers.0.mask'" };
        leat_status s = { 0 };
        cr_assert_neq(leat_fit_resume(f, path_of("checkpoint"), &s), LEAT_OK);
        refused(f, m, path_of("checkpoint"), s.code, messages[k]);
        leat_model_free(m);
    }
}

/* The same tensors with another meaning: the logistic base has as many as the normal one, none. */
Test(resume, another_model_of_the_same_shapes)
{
    leat_tensor x, c;
    fit_data(1, ROWS, &x, &c);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(1);
        leat_nice_opts nice = { .dim = 2, .couplings = 2, .hidden = { 5 }, .base = k ? leat_logistic(m, 2) : NULL };
        leat_fit *f = leat_fit_new(leat_nice_new(m, &nice), &(leat_fit_opts){ .data = x });
        if (k)
            refused(f, m, path_of("checkpoint"), LEAT_EARG, "made with another model, of the same shapes");
        else
            save((run){ m, f }, path_of("checkpoint"));
        leat_model_free(m);
    }
}

static leat_fit *fresh(leat_tensor x, leat_model **m)
{
    *m = test_model(4);
    leat_fit *f = leat_fit_new(fit_flow(*m, 0, false),
                               &(leat_fit_opts){ .data = x, .epochs = 2, .batch = 20, .validation = 0.25 });
    assert_fit(f);
    return f;
}

static void write_bytes(const char *path, const char *bytes, size_t size)
{
    cr_assert_eq(leat_file_write(path, bytes, size, NULL), LEAT_OK);
}

Test(resume, a_file_cut_short)
{
    leat_tensor x, c;
    leat_model *m;
    char *bytes;
    size_t size;
    fit_data(1, ROWS, &x, &c);
    make_checkpoint(x, path_of("checkpoint"));
    cr_assert_eq(leat_file_read(path_of("checkpoint"), test_arena(), &bytes, &size, NULL), LEAT_OK);
    leat_fit *f = fresh(x, &m);
    for (size_t cut = 0; cut < size; cut += cut < 64 ? 1 : 97) {
        write_bytes(path_of("short"), bytes, cut);
        refused(f, m, path_of("short"), LEAT_EFORMAT, "");
    }
    refused(f, m, path_of("missing"), LEAT_EIO, "");
    leat_model_free(m);
}

/* A checkpoint whose state is another text of the same length: refused or not, nothing bad happens. */
Test(resume, damaged_states)
{
    static const char *const swaps[][2] = {
        { "\\\"epoch\\\":2", "\\\"epoch\\\":3" },       { "\\\"epoch\\\":2", "\\\"epoch\\\":x" },
        { "\\\"step\\\":0", "\\\"step\\\":9" },         { "\\\"steps\\\":[", "\\\"steps\\\":{" },
        { "\\\"history\\\"", "\\\"hist0ry\\\"" },       { "\\\"random\\\":0", "\\\"random\\\":-" },
        { "\\\"total\\\":0.0", "\\\"total\\\":[],[" },  { "\"fit.state\"", "\"fit.stat3\"" },
        { "\"fit.format\":\"1", "\"fit.format\":\"2" }, { "\"fit.format\"", "\"fit.f0rmat\"" },
        { "\"best.base.loc\"", "\"best.base.l0c\"" },   { "\"optim.exp_avg\"", "\"optim.exp_4vg\"" },
    };
    leat_tensor x, c;
    leat_model *m;
    char *bytes;
    size_t size;
    fit_data(1, ROWS, &x, &c);
    make_checkpoint(x, path_of("checkpoint"));
    leat_fit *f = fresh(x, &m);
    for (size_t k = 0; k < sizeof swaps / sizeof *swaps; k++) {
        cr_assert_eq(leat_file_read(path_of("checkpoint"), test_arena(), &bytes, &size, NULL), LEAT_OK);
        char *at = memmem(bytes, size, swaps[k][0], strlen(swaps[k][0]));
        cr_assert_not_null(at, "there is no %s", swaps[k][0]);
        memcpy(at, swaps[k][1], strlen(swaps[k][1]));
        write_bytes(path_of("damaged"), bytes, size);
        refused(f, m, path_of("damaged"), LEAT_EFORMAT, "");
    }
    leat_model_free(m);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

Test(resume, metadata)
{
    leat_tensor x, c;
    leat_model *m;
    leat_status s = { 0 };
    leat_safetensors file;
    fit_data(1, ROWS, &x, &c);
    leat_fit *f = fresh(x, &m);
    const char *more[][2] = { { "architecture", "a \"flow\"" }, { "note", "" } };
    cr_assert_eq(leat_fit_save(f, path_of("checkpoint"), 2, more, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(path_of("checkpoint"), test_arena(), &file, &s), LEAT_OK);
    cr_assert_str_eq(leat_safetensors_metadata(&file, "architecture"), "a \"flow\"");
    cr_assert_str_eq(leat_safetensors_metadata(&file, "note"), "");
    cr_assert_str_eq(leat_safetensors_metadata(&file, "fit.batch"), "20");
    cr_assert_not_null(leat_safetensors_find(&file, "model.layers.0.net.0.weight"));
    cr_assert_eq(leat_fit_resume(f, path_of("checkpoint"), &s), LEAT_OK, "%s", s.message);

    more[1][0] = "fit.more";
    cr_assert_eq(leat_fit_save(f, path_of("checkpoint"), 2, more, &s), LEAT_EARG);
    assert_contains(s.message, "the metadata key 'fit.more' begins with 'fit.'");
    resume((run){ m, f }, path_of("checkpoint"));
    leat_model_free(m);
}

/* What cannot be written is told, and the fit goes on. */
Test(resume, no_place_to_write)
{
    leat_tensor x, c;
    leat_model *m;
    leat_status s = { 0 };
    fit_data(1, ROWS, &x, &c);
    leat_fit *f = fresh(x, &m);
    cr_assert_eq(leat_fit_save(f, path_of("none/checkpoint"), 0, NULL, &s), LEAT_EIO);
    assert_contains(s.message, "none/checkpoint");
    go((run){ m, f });
    leat_model_free(m);
}
