/* Glow: PyTorch's numbers, checked at the start, after training and from a file, resumed, with memory spared. */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/leat-glow-XXXXXX";

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(glow, .init = make_folder, .fini = remove_folder);

static const char *path_of(const char *name)
{
    return leat_arena_format(test_arena(), "%s/%s", folder, name);
}

static const leat_glow_opts models[] = {
    /* make_glow.py's */
    { .height = 4, .width = 8, .levels = 2, .steps = 2, .hidden = 6, .context = 2, .continuous = true },
    { .height = 4,
      .width = 4,
      .channels = 3,
      .levels = 2,
      .steps = 1,
      .hidden = 5,
      .additive = true,
      .permuted = true,
      .continuous = true },
    { .height = 4, .width = 4, .channels = 2, .levels = 2, .steps = 2, .hidden = 6 },
    { .height = 8, .width = 6, .channels = 3, .levels = 1, .steps = 2, .hidden = 6, .context = 2, .bits = 5 },
    { .height = 4,
      .width = 4,
      .channels = 2,
      .levels = 2,
      .steps = 1,
      .hidden = 4,
      .additive = true,
      .reversed = true,
      .plain_priors = true },
};
enum { MODELS = sizeof models / sizeof *models, PYTORCHS = 2, ROWS = 12 };

/* Bytes, or real numbers, smooth enough to be learned; whole levels, which dequantisation gives back. */
static leat_tensor rows_of(const leat_glow_opts *o, uint64_t seed, int64_t rows)
{
    leat_tensor x = test_normal(seed, rows, o->height * o->width * (o->channels ? o->channels : 1), 1);
    for (int64_t i = 0; i < leat_shape_count(&x.shape); i++) {
        double about = i ? (double)x.data[i - 1] : 0, next = (double)x.data[i];
        double byte = fmin(255, fmax(0, floor(0.4 * about + 30 * next + 90)));
        x.data[i] = (leat_real)(o->continuous ? next : byte - fmod(byte, o->bits ? 256 >> o->bits : 1));
    }
    return x;
}

static leat_var context_of(const leat_flow *f, leat_tape *t, int64_t rows)
{
    return leat_flow_context(f) ? leat_const(t, test_normal(2, rows, leat_flow_context(f), 1)) : (leat_var){ 0 };
}

static leat_var loss_of(leat_flow *f, leat_tape *t, leat_tensor x)
{
    leat_var context = context_of(f, t, x.shape.size[0]);
    return leat_neg(leat_mean(leat_flow_log_prob_given(f, leat_borrow(t, x), context)));
}

static void train(leat_flow *f, leat_tensor x, int steps)
{
    leat_model *m = leat_flow_model(f);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.005 });
    leat_tape *t = test_tape(m);
    for (int i = 0; i < steps; i++) {
        leat_tape_reset(t);
        cr_assert_eq(leat_backward(loss_of(f, t, x)), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK, "%s", leat_optim_status(adam)->message);
    }
}

/* ---- as PyTorch -------------------------------------------------------------------------------------------------- */

/* The fixtures are in float, rounded from double. */
static const double near_pytorch = sizeof(leat_real) == 8 ? 1e-6 : 1e-4;

Test(glow, log_probabilities_gradients_and_losses_are_pytorch_s)
{
    static const char *const names[] = { "glow", "glow_additive" };
    for (int k = 0; k < PYTORCHS; k++) {
        leat_model *m = test_model(1);
        leat_flow *f = leat_glow_new(m, &models[k]);
        leat_status s = { 0 };
        const char *path = leat_arena_format(test_arena(), LEAT_FIXTURES "/flows/%s.safetensors", names[k]);
        cr_assert_eq(leat_load(m, path, &s), LEAT_OK, "%s", s.message);
        leat_safetensors want = fixture(leat_arena_format(test_arena(), "%s_expected", names[k]));
        leat_tape *t = test_tape(m);
        leat_var context = { 0 };
        if (models[k].context)
            context = leat_const(t, fixture_get(&want, "context"));
        leat_var log_prob = leat_flow_log_prob_given(f, leat_const(t, fixture_get(&want, "x")), context);
        assert_near(leat_value(log_prob), fixture_get(&want, "log_prob"), near_pytorch, 0, names[k]);
        cr_assert_eq(leat_backward(leat_neg(leat_mean(log_prob))), LEAT_OK, "%s", leat_tape_errmsg(t));
        int compared = 0;
        for (int64_t i = 0; i < want.count; i++) {
            const leat_safetensors_entry *e = &want.entries[i];
            if (strncmp(e->name, "grad.", 5) != 0)
                continue;
            assert_near(param_grad(m, e->name + 5), e->tensor, near_pytorch, 1e-2, e->name);
            compared++;
        }
        cr_assert_geq(compared, 26);
        leat_zero_grad(m);
        leat_tensor losses = fixture_get(&want, "losses");
        leat_optim *adamax = leat_adamax_new(m, &(leat_adam_opts){ .lr = 0.002 });
        for (int64_t i = 0; i < losses.shape.size[0]; i++) {
            leat_tape_reset(t);
            context = models[k].context ? leat_const(t, fixture_get(&want, "context")) : (leat_var){ 0 };
            log_prob = leat_flow_log_prob_given(f, leat_const(t, fixture_get(&want, "x")), context);
            leat_var loss = leat_neg(leat_mean(log_prob));
            double got = leat_item(loss), wanted = (double)losses.data[i];
            cr_assert(fabs(got - wanted) <= near_pytorch * fabs(wanted), "%s, step %d: %.9g, not %.9g", names[k],
                      (int)i, got, wanted);
            cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
            cr_assert_eq(leat_optim_step(adamax), LEAT_OK);
        }
        leat_model_free(m);
    }
}

/* ---- checked ----------------------------------------------------------------------------------------------------- */

static void expect_checked(leat_flow *f, leat_tensor x, const char *when)
{
    leat_flow_report r;
    leat_flow_check_opts o = { .jacobian_rows = 1 };
    if (leat_flow_context(f))
        o.context = test_normal(2, x.shape.size[0], leat_flow_context(f), 1);
    bool ok = leat_flow_check(f, x, &o, &r);
    cr_assert(ok, "%s: %s", when, r.reason);
    cr_assert_eq(r.never_moved, -1, "%s: %lld", when, (long long)r.never_moved);
}

Test(glow, is_checked_at_the_start_trained_and_from_a_file)
{
    for (int k = 0; k < MODELS; k++) {
        leat_model *m = test_model((uint64_t)k);
        leat_flow *f = leat_glow_new(m, &models[k]);
        assert_model(m);
        leat_tensor x = rows_of(&models[k], 1, 3);
        expect_checked(f, x, "start");
        train(f, rows_of(&models[k], 2, ROWS), 8);
        expect_checked(f, x, "trained");
        leat_status s = { 0 };
        cr_assert_eq(leat_flow_save(f, path_of("flow"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        leat_flow *loaded = leat_flow_load(path_of("flow"), NULL, NULL, &s);
        cr_assert_not_null(loaded, "%s", s.message);
        cr_assert_eq(leat_model_hash(m), leat_model_hash(leat_flow_model(loaded)));
        expect_checked(loaded, x, "loaded");
        leat_model_free(m);
        leat_model_free(leat_flow_model(loaded));
    }
}

/* ---- trained ----------------------------------------------------------------------------------------------------- */

/* Before it has learned anything a coupling with a zero network halves nothing: log-densities are of the data alone. */
Test(glow, learns)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_glow_new(m, &models[2]);
    leat_tensor x = rows_of(&models[2], 2, 64);
    leat_tape *t = test_tape(m);
    double first = leat_item(loss_of(f, t, x));
    train(f, x, 40);
    leat_tape_reset(t);
    double last = leat_item(loss_of(f, t, x)), per_number = log(2) * 32;
    cr_assert(first > last + 0.3 * per_number, "%g to %g bits", first / per_number, last / per_number);
    leat_model_free(m);
}

typedef struct run {
    leat_model *model;
    leat_fit *fit;
} run;

static bool stop_at(void *user, leat_fit *f, const leat_step_report *r)
{
    (void)f;
    return !user || (r->epoch - 1) * r->steps + r->step != *(const int64_t *)user;
}

static run run_of(uint64_t seed, int64_t *stop)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed, .threads = 1 + (int)(seed % 3) });
    leat_fit_opts o = { .data = rows_of(&models[2], 2, 40), .batch = 16, .epochs = 2, .lr = 0.01, .on_step = stop_at };
    o.user = stop;
    return (run){ m, leat_fit_new(leat_glow_new(m, &models[2]), &o) };
}

static void go(run r)
{
    cr_assert_eq(leat_fit_run(r.fit), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
}

/* Behind the step that sets actnorm's numbers, and the next one: the bits of a run that never stopped. */
Test(glow, resumes_inside_the_first_epoch)
{
    run whole = run_of(1, NULL);
    go(whole);
    for (int64_t stop = 1; stop <= 2; stop++) {
        leat_status s = { 0 };
        run cut = run_of(1, &stop), rest = run_of(76 + (uint64_t)stop, NULL);
        go(cut);
        cr_assert_eq(leat_fit_save(cut.fit, path_of("checkpoint"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        cr_assert_eq(leat_fit_resume(rest.fit, path_of("checkpoint"), &s), LEAT_OK, "%s", s.message);
        go(rest);
        cr_assert_eq(leat_model_hash(rest.model), leat_model_hash(whole.model));
        leat_model_free(cut.model);
        leat_model_free(rest.model);
    }
    leat_model_free(whole.model);
}

/* ---- with memory spared ------------------------------------------------------------------------------------------ */

static uint64_t trained_hash(const leat_glow_opts *o, leat_recompute how, double *loss)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_glow_new(m, o);
    leat_flow_set_recompute(f, how);
    leat_tensor x = rows_of(o, 2, ROWS);
    train(f, x, 4);
    leat_tape *t = test_tape(m);
    *loss = leat_item(loss_of(f, t, x));
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

Test(glow, recomputing_trains_to_the_same_bits)
{
    for (int k = 0; k < MODELS; k++) {
        double plain, forward, invert;
        uint64_t hash = trained_hash(&models[k], LEAT_RECOMPUTE_NONE, &plain);
        cr_assert_eq(trained_hash(&models[k], LEAT_RECOMPUTE_FORWARD, &forward), hash, "model %d", k);
        trained_hash(&models[k], LEAT_RECOMPUTE_INVERT, &invert);
        cr_assert(fabs(invert - plain) <= 100 * CLOSE * fabs(plain), "model %d: %.9g, not %.9g", k, invert, plain);
    }
}

static size_t peak_of(int steps, leat_recompute how)
{
    leat_model *m = test_model(1);
    leat_glow_opts o = { .height = 8, .width = 8, .levels = 2, .steps = steps, .hidden = 32 };
    leat_flow *f = leat_glow_new(m, &o);
    leat_flow_set_recompute(f, how);
    leat_tape *t = test_tape(m);
    leat_tensor x = rows_of(&o, 1, 32);
    for (int step = 0; step < 2; step++) {
        leat_tape_reset(t);
        cr_assert_eq(leat_backward(loss_of(f, t, x)), LEAT_OK, "%s", leat_tape_errmsg(t));
        leat_clear_grads(t);
    }
    size_t peak = leat_tape_get_stats(t).peak_bytes;
    leat_model_free(m);
    return peak;
}

Test(glow, memory_does_not_grow_with_steps)
{
    size_t few = peak_of(8, LEAT_RECOMPUTE_INVERT), many = peak_of(32, LEAT_RECOMPUTE_INVERT);
    cr_assert_leq((double)many, 1.1 * (double)few, "%zu, %zu", few, many);
    cr_assert_gt(peak_of(8, LEAT_RECOMPUTE_NONE), 2 * few);
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static const struct {
    leat_glow_opts o;
    const char *text;
} refused[] = {
    { { .height = 8, .width = 6, .levels = 2, .steps = 1, .hidden = 4 }, "squeeze" },
    { { .height = 8, .width = 8, .levels = 2, .steps = 1, .hidden = -4 }, "conv: 2 -> -4 features" },
    { { .height = 8, .width = 8, .levels = 1, .steps = 1, .hidden = 4, .bits = 9 }, "9" },
    { { .width = 8, .steps = 1 }, "" },
    { { .height = INT64_MAX, .width = 8, .steps = 1 }, "" },
};

Test(glow, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = test_model(1);
        leat_glow_new(m, &refused[i].o);
        cr_assert_neq(leat_model_code(m), LEAT_OK, "%zu", i);
        assert_contains(leat_model_errmsg(m), refused[i].text);
        leat_model_free(m);
    }
}
