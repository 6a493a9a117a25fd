/* RealNVP over images: PyTorch's numbers, checked at the start, after training and from a file, resumed, with memory
 * spared, in bits, and what is refused. */
#include "image_support.h"
#include "../../nn/model.h"

static const leat_realnvp_image_opts models[] = {
    /* make_realnvp_image.py's */
    { .height = 4, .width = 4, .levels = 2, .blocks = 1, .hidden = 2, .context = 1, .continuous = true },
    { .height = 4, .width = 4, .channels = 2, .levels = 2, .blocks = 1, .hidden = 3 },
    { .height = 8,
      .width = 6,
      .channels = 3,
      .levels = 2,
      .blocks = 1,
      .hidden = 2,
      .context = 2,
      .actnorm = true,
      .bits = 5 },
};
enum { MODELS = sizeof models / sizeof *models, ROWS = 12 };

/* Bytes, smooth enough to be learned, of those that 5 bits can tell. */
static leat_tensor rows_of(const leat_flow *f, uint64_t seed, int64_t rows)
{
    leat_tensor x = test_normal(seed, rows, leat_flow_dim(f), 1);
    for (int64_t i = 0; leat_flow_is_bound(f) && i < leat_shape_count(&x.shape); i++) {
        double about = i ? (double)x.data[i - 1] : 0, next = 0.4 * about + 30 * (double)x.data[i] + 90;
        x.data[i] = (leat_real)(8 * floor(fmin(255, fmax(0, next)) / 8));
    }
    return x;
}

static leat_tensor context_of(const leat_flow *f, int64_t rows)
{
    return leat_flow_context(f) ? test_normal(2, rows, leat_flow_context(f), 1) : (leat_tensor){ 0 };
}

/* ---- as PyTorch -------------------------------------------------------------------------------------------------- */

/* The fixtures are in float, rounded from double. */
static const double near_pytorch = sizeof(leat_real) == 8 ? 1e-6 : 1e-4;

/* Gradients stand one behind the other, in the order of the parameters' names. */
static void compare_grads(leat_model *m, const leat_safetensors *state, leat_tensor grads)
{
    const leat_real *at = grads.data;
    for (int64_t i = 0; i < state->count; i++) {
        const leat_safetensors_entry *e = &state->entries[i];
        if (!leat_find_param(m, e->name))
            continue;
        assert_near(param_grad(m, e->name), (leat_tensor){ (leat_real *)at, e->tensor.shape }, near_pytorch, 1e-1,
                    e->name);
        at += leat_shape_count(&e->tensor.shape);
    }
    cr_assert_eq(at - grads.data, leat_shape_count(&grads.shape));
    cr_assert_eq(at - grads.data, leat_param_count(m));
}

static void compare(const char *mode, bool training)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_realnvp_image_new(m, &models[0]);
    leat_status s = { 0 };
    cr_assert_eq(leat_load(m, LEAT_FIXTURES "/flows/realnvp_image.safetensors", &s), LEAT_OK, "%s", s.message);
    leat_safetensors state = fixture("realnvp_image"), want = fixture("realnvp_image_expected");
    leat_tape *t = test_tape(m);
    leat_tape_set_training(t, training);
    leat_var log_prob = leat_flow_log_prob_given(f, leat_const(t, fixture_get(&want, "x")),
                                                 leat_const(t, fixture_get(&want, "context")));
    assert_near(leat_value(log_prob), fixture_get(&want, leat_arena_format(test_arena(), "%s.log_prob", mode)),
                near_pytorch, 0, mode);
    cr_assert_eq(leat_backward(leat_neg(leat_mean(log_prob))), LEAT_OK, "%s", leat_tape_errmsg(t));
    compare_grads(m, &state, fixture_get(&want, leat_arena_format(test_arena(), "%s.grads", mode)));
    leat_model_free(m);
}

Test(realnvp_image, log_probabilities_and_gradients_are_pytorch_s)
{
    compare("eval", false);
    compare("train", true);
}

/* ---- checked ----------------------------------------------------------------------------------------------------- */

Test(realnvp_image, is_checked_at_the_start_trained_and_from_a_file)
{
    for (int k = 0; k < MODELS; k++) {
        leat_model *m = test_model((uint64_t)k);
        leat_flow *f = leat_realnvp_image_new(m, &models[k]);
        assert_model(m);
        leat_tensor x = rows_of(f, 1, 3), c = context_of(f, 3);
        expect_checked(f, x, c, "start");
        train_on(f, rows_of(f, 2, ROWS), context_of(f, ROWS), 6);
        expect_checked(f, x, c, "trained");
        leat_flow *back = reloaded(f);
        expect_checked(back, x, c, "loaded");
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

/* Every latent is there: what is decoded from them is what was encoded. */
Test(realnvp_image, encodes_and_decodes)
{
    for (int k = 1; k < MODELS; k++) {
        leat_model *m = test_model(3);
        leat_flow *f = leat_realnvp_image_new(m, &models[k]);
        leat_tensor x = rows_of(f, 1, ROWS), c = context_of(f, ROWS), z = test_tensor(ROWS, leat_flow_dim(f)),
                    y = test_tensor(ROWS, leat_flow_dim(f));
        train_on(f, x, c, 4);
        leat_tape *t = test_tape(m);
        cr_assert_eq(leat_flow_encode(f, t, x, c, z.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_flow_decode(f, t, z, c, y.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
        assert_near(y, x, 0, 1, "decoded");
        leat_model_free(m);
    }
}

/* ---- trained ----------------------------------------------------------------------------------------------------- */

Test(realnvp_image, learns_and_tells_its_bits)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_realnvp_image_new(m, &models[1]);
    leat_tensor x = rows_of(f, 2, 64);
    leat_tape *t = test_tape(m);
    leat_bits before, after;
    cr_assert_eq(leat_flow_bits(f, t, x, NULL, &before), LEAT_OK, "%s", leat_tape_errmsg(t));
    train_on(f, x, (leat_tensor){ 0 }, 40);
    cr_assert_eq(leat_flow_bits(f, t, x, NULL, &after), LEAT_OK, "%s", leat_tape_errmsg(t));
    cr_assert(after.bits < before.bits - 0.3, "%g to %g bits", before.bits, after.bits);
    cr_assert_eq(after.levels, 2);
    cr_assert_float_eq(after.dequantisation, 8, CLOSE);
    cr_assert_float_eq(8 + after.preprocessing + after.base + after.level[0] + after.level[1], after.bits, CLOSE);
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

static run run_of(int k, uint64_t seed, int64_t *stop)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed, .threads = 1 + (int)(seed % 3) });
    leat_flow *f = leat_realnvp_image_new(m, &models[k]);
    leat_fit_opts o = { .data = rows_of(f, 2, 40), .context = context_of(f, 40), .batch = 16, .epochs = 2, .lr = 0.01 };
    o.on_step = stop_at;
    o.user = stop;
    return (run){ m, leat_fit_new(f, &o) };
}

static void go(run r)
{
    cr_assert_eq(leat_fit_run(r.fit), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
}

/* Inside of the first epoch, behind the step that sets actnorm's numbers: the bits of a run that never stopped. */
Test(realnvp_image, resumes_inside_the_first_epoch)
{
    for (int k = 1; k < MODELS; k++) {
        const char *path = image_path("checkpoint.safetensors");
        run whole = run_of(k, 1, NULL);
        go(whole);
        for (int64_t stop = 1; stop <= 2; stop++) {
            leat_status s = { 0 };
            run cut = run_of(k, 1, &stop), rest = run_of(k, 76 + (uint64_t)stop, NULL);
            go(cut);
            cr_assert_eq(leat_fit_save(cut.fit, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
            cr_assert_eq(leat_fit_resume(rest.fit, path, &s), LEAT_OK, "%s", s.message);
            go(rest);
            cr_assert_eq(leat_model_hash(rest.model), leat_model_hash(whole.model), "model %d", k);
            unlink(path);
            leat_model_free(cut.model);
            leat_model_free(rest.model);
        }
        leat_model_free(whole.model);
    }
}

static uint64_t trained_hash(int k, leat_recompute how)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_realnvp_image_new(m, &models[k]);
    leat_flow_set_recompute(f, how);
    train_on(f, rows_of(f, 2, ROWS), context_of(f, ROWS), 4);
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

/* All gradients of one step behind three others. */
static leat_tensor grads_of(int k, leat_recompute how)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_realnvp_image_new(m, &models[k]);
    leat_tensor x = rows_of(f, 2, ROWS), c = context_of(f, ROWS);
    train_on(f, x, c, 3);
    leat_flow_set_recompute(f, how);
    leat_tape *t = test_tape(m);
    leat_var given = c.data ? leat_const(t, c) : (leat_var){ 0 };
    cr_assert_eq(leat_backward(leat_mean(leat_flow_log_prob_given(f, leat_const(t, x), given))), LEAT_OK);
    leat_tensor grads = test_tensor(1, m->flat);
    memcpy(grads.data, m->grads, (size_t)m->flat * sizeof *grads.data);
    leat_model_free(m);
    return grads;
}

Test(realnvp_image, recomputing_trains_to_the_same_bits)
{
    for (int k = 0; k < MODELS; k++) {
        cr_assert_eq(trained_hash(k, LEAT_RECOMPUTE_FORWARD), trained_hash(k, LEAT_RECOMPUTE_NONE), "model %d", k);
        assert_near(grads_of(k, LEAT_RECOMPUTE_INVERT), grads_of(k, LEAT_RECOMPUTE_NONE), 100 * CLOSE, 0, "gradients");
    }
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static const struct {
    leat_realnvp_image_opts o;
    const char *text;
} refused[] = {
    { { .height = 28, .width = 28, .levels = 4, .blocks = 1, .hidden = 1 },
      "a squeeze of rows [7,7,4]: both sides must" },
    { { .height = 8, .width = 8, .hidden = -4, .blocks = 1 }, "residual_conv: 1 -> -4" },
    { { .height = 8, .width = 8, .hidden = 4, .blocks = 1, .bits = 9 }, "9" },
    { { .height = 8, .width = 8, .hidden = 4, .blocks = 1, .alpha = 0.7 }, "alpha 0.7" },
    { { .width = 8, .blocks = 1 }, "" },
    { { .height = INT64_MAX, .width = 8, .blocks = 1 }, "" },
};

Test(realnvp_image, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = test_model(1);
        leat_realnvp_image_new(m, &refused[i].o);
        cr_assert_neq(leat_model_code(m), LEAT_OK, "%zu", i);
        assert_contains(leat_model_errmsg(m), refused[i].text);
        leat_model_free(m);
    }
    leat_model *m = test_model(1);
    leat_realnvp_image_opts o = { .height = 28, .width = 28, .levels = 3, .blocks = 1, .hidden = 1 };
    leat_flow *f = leat_realnvp_image_new(m, &o);
    assert_model(m);
    cr_assert_eq(leat_flow_dim(f), 784);
    leat_model_free(m);
}
