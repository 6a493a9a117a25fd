/* Flow++ over images: PyTorch's numbers, checked at the start, trained and from a file, resumed, with memory spared. */
#include "image_support.h"

static const leat_flowpp_opts models[] = {
    /* make_flowpp.py's */
    { .height = 4,
      .width = 4,
      .couplings = { 2, 1, 1 },
      .features = 4,
      .blocks = 1,
      .heads = 2,
      .components = 2,
      .context = 2,
      .noise = { 2, 1, 3 } },
    { .height = 4,
      .width = 4,
      .channels = 2,
      .couplings = { 2, 2, 1 },
      .features = 4,
      .blocks = 1,
      .heads = 2,
      .components = 4,
      .dropout = 0.2,
      .noise = { 2, 1, 3 } },
    { .height = 2,
      .width = 4,
      .channels = 3,
      .couplings = { 1, 1, 1 },
      .features = 3,
      .blocks = 2,
      .heads = 1,
      .components = 1,
      .bits = 5,
      .context = 2,
      .uniform = true },
    { .height = 4,
      .width = 4,
      .channels = 2,
      .couplings = { 1, 1, 2 },
      .features = 4,
      .blocks = 1,
      .heads = 4,
      .components = 3,
      .continuous = true },
};
enum { MODELS = sizeof models / sizeof *models, ROWS = 12 };

/* Bytes, or real numbers, smooth enough to be learned; whole levels, which dequantisation gives back. */
static leat_tensor rows_of(const leat_flowpp_opts *o, uint64_t seed, int64_t rows)
{
    leat_tensor x = test_normal(seed, rows, o->height * o->width * (o->channels ? o->channels : 1), 1);
    for (int64_t i = 0; i < leat_shape_count(&x.shape); i++) {
        double about = i ? (double)x.data[i - 1] : 0, next = (double)x.data[i];
        double byte = fmin(255, fmax(0, floor(0.4 * about + 30 * next + 90)));
        x.data[i] = (leat_real)(o->continuous ? next : byte - fmod(byte, o->bits ? 256 >> o->bits : 1));
    }
    return x;
}

static leat_tensor context_of(const leat_flowpp_opts *o, int64_t rows)
{
    return o->context ? test_normal(2, rows, o->context, 1) : (leat_tensor){ 0 };
}

/* ---- as PyTorch -------------------------------------------------------------------------------------------------- */

static const double near_pytorch = sizeof(leat_real) == 8 ? 1e-9 : 1e-4;

static int compare_gradients(leat_model *m, const leat_safetensors *want)
{
    int compared = 0;
    for (int64_t i = 0; i < want->count; i++) {
        const leat_safetensors_entry *e = &want->entries[i];
        if (strncmp(e->name, "grad.", 5) != 0)
            continue;
        assert_near(param_grad(m, e->name + 5), e->tensor, near_pytorch, 1e-2, e->name);
        compared++;
    }
    return compared;
}

/* With eps = 0, which `centred` makes of the noise. */
Test(flowpp, log_probabilities_and_gradients_are_pytorch_s)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_flowpp_new(m, &models[0]);
    leat_status s = { 0 };
    cr_assert_eq(leat_load(m, LEAT_FIXTURES "/flows/flowpp.safetensors", &s), LEAT_OK, "%s", s.message);
    leat_safetensors want = fixture("flowpp_expected");
    leat_tape *t = test_tape(m);
    leat_flow_call call = { .context = leat_const(t, fixture_get(&want, "context")), .centred = true };
    leat_var h = leat_const(t, fixture_get(&want, "x")), log_prob = leat_zeros(t, LEAT_SHAPE(leat_var_size(h, 0)));
    for (int i = 0; i < leat_flow_length(f); i++) {
        leat_pair step = leat_transform_forward(leat_flow_layer(f, i), h, &call);
        h = step.y;
        log_prob = leat_add(log_prob, step.logdet);
    }
    log_prob = leat_add(log_prob, leat_normal_log_density(h));
    assert_tape(t);
    assert_near(leat_value(log_prob), fixture_get(&want, "log_prob"), near_pytorch, 0, "log_prob");
    cr_assert_eq(leat_backward(leat_neg(leat_mean(log_prob))), LEAT_OK, "%s", leat_tape_errmsg(t));
    cr_assert_geq(compare_gradients(m, &want), 150);
    leat_model_free(m);
}

Test(flowpp, the_coupling_s_map_is_pytorch_s)
{
    static const char *const names[] = { "x", "s", "t", "weights", "means", "log_scales" };
    leat_safetensors want = fixture("flowpp_mixture");
    leat_model *m = test_model(1);
    const leat_elementwise *e = leat_flowpp_mixture(m, 4);
    leat_tape *t = test_tape(m);
    leat_var in[6];
    for (int i = 0; i < 6; i++)
        in[i] = leat_input(t, fixture_get(&want, names[i]));
    leat_pair out = e->forward(e, in[0], in + 1), again = e->forward(e, e->inverse(e, out.y, in + 1).y, in + 1);
    assert_near(leat_value(out.y), fixture_get(&want, "y"), near_pytorch / 10, 1, "y");
    assert_near(leat_value(out.logdet), fixture_get(&want, "logdet"), near_pytorch / 10, 1, "logdet");
    assert_near(leat_value(again.y), fixture_get(&want, "y"), near_pytorch / 10, 1, "y of what is found");
    leat_var sum = leat_add(leat_sum(leat_mul(out.y, leat_const(t, fixture_get(&want, "g")))),
                            leat_sum(leat_mul(out.logdet, leat_const(t, fixture_get(&want, "h")))));
    cr_assert_eq(leat_backward(sum), LEAT_OK, "%s", leat_tape_errmsg(t));
    for (int i = 0; i < 6; i++) {
        char key[40];
        snprintf(key, sizeof key, "grad.%s", names[i]);
        assert_near(leat_grad(in[i]), fixture_get(&want, key), near_pytorch, 1, key);
    }
    leat_model_free(m);
}

/* ---- checked ----------------------------------------------------------------------------------------------------- */

Test(flowpp, is_checked_at_the_start_trained_and_from_a_file)
{
    for (int k = 0; k < MODELS; k++) {
        leat_model *m = test_model((uint64_t)k);
        leat_flow *f = leat_flowpp_new(m, &models[k]);
        assert_model(m);
        leat_tensor x = rows_of(&models[k], 1, 3), context = context_of(&models[k], 3);
        expect_checked(f, x, context, "start");
        train_on(f, rows_of(&models[k], 2, ROWS), context_of(&models[k], ROWS), 4);
        expect_checked(f, x, context, "trained");
        leat_flow *loaded = reloaded(f);
        expect_checked(loaded, x, context, "loaded");
        leat_model_free(m);
        leat_model_free(leat_flow_model(loaded));
    }
}

/* ---- trained ----------------------------------------------------------------------------------------------------- */

static double mean_score(leat_flow *f, leat_tensor x)
{
    double score[64], sum = 0;
    leat_tape *t = test_tape(leat_flow_model(f));
    cr_assert_eq(leat_flow_score(f, t, x, score), LEAT_OK, "%s", leat_tape_errmsg(t));
    for (int64_t i = 0; i < x.shape.size[0]; i++)
        sum += score[i] / (double)x.shape.size[0];
    return sum;
}

Test(flowpp, learns)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_flowpp_new(m, &models[1]);
    leat_tensor x = rows_of(&models[1], 2, 64);
    train_on(f, x, (leat_tensor){ 0 }, 1);
    double first = mean_score(f, x);
    train_on(f, x, (leat_tensor){ 0 }, 60);
    double last = mean_score(f, x), per_number = log(2) * 32;
    cr_assert_gt(last, first + 0.3 * per_number, "%g to %g bits", -first / per_number, -last / per_number);
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
    leat_fit_opts o = { .data = rows_of(&models[1], 2, 40), .batch = 16, .epochs = 2, .lr = 0.01, .on_step = stop_at };
    o.user = stop;
    return (run){ m, leat_fit_new(leat_flowpp_new(m, &models[1]), &o) };
}

static void go(run r)
{
    cr_assert_eq(leat_fit_run(r.fit), LEAT_OK, "%s", leat_fit_status(r.fit)->message);
}

/* Dropout and the noise of dequantisation go on where they were, in any number of threads. */
Test(flowpp, resumes_to_the_same_bits)
{
    run whole = run_of(1, NULL);
    go(whole);
    for (int64_t stop = 1; stop <= 4; stop += 3) {
        leat_status s = { 0 };
        run cut = run_of(1, &stop), rest = run_of(76 + (uint64_t)stop, NULL);
        go(cut);
        cr_assert_eq(leat_fit_save(cut.fit, image_path("checkpoint"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        cr_assert_eq(leat_fit_resume(rest.fit, image_path("checkpoint"), &s), LEAT_OK, "%s", s.message);
        go(rest);
        cr_assert_eq(leat_model_hash(rest.model), leat_model_hash(whole.model));
        leat_model_free(cut.model);
        leat_model_free(rest.model);
    }
    unlink(image_path("checkpoint"));
    leat_model_free(whole.model);
}

/* ---- with memory spared ------------------------------------------------------------------------------------------ */

static uint64_t trained_hash(const leat_flowpp_opts *o, leat_recompute how, double *score)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_flowpp_new(m, o);
    leat_flow_set_recompute(f, how);
    train_on(f, rows_of(o, 2, ROWS), context_of(o, ROWS), 3);
    *score = o->context ? 0 : mean_score(f, rows_of(o, 2, ROWS));
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

Test(flowpp, recomputing_trains_to_the_same_bits)
{
    for (int k = 0; k < MODELS; k++) {
        double plain, forward, invert;
        uint64_t hash = trained_hash(&models[k], LEAT_RECOMPUTE_NONE, &plain);
        cr_assert_eq(trained_hash(&models[k], LEAT_RECOMPUTE_FORWARD, &forward), hash, "model %d", k);
        trained_hash(&models[k], LEAT_RECOMPUTE_INVERT, &invert);
        cr_assert(fabs(invert - plain) <= 1000 * (double)CLOSE * fabs(plain), "model %d: %.9g, not %.9g", k, invert,
                  plain);
    }
}

static size_t peak_of(int couplings, leat_recompute how)
{
    leat_model *m = test_model(1);
    leat_flowpp_opts o = models[1];
    o.couplings[0] = couplings;
    leat_flow *f = leat_flowpp_new(m, &o);
    leat_flow_set_recompute(f, how);
    leat_tape *t = test_tape(m);
    leat_tensor x = rows_of(&o, 1, 32);
    for (int step = 0; step < 2; step++) {
        leat_tape_reset(t);
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(f, leat_borrow(t, x))));
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        leat_clear_grads(t);
    }
    size_t peak = leat_tape_get_stats(t).peak_bytes;
    leat_model_free(m);
    return peak;
}

Test(flowpp, memory_hardly_grows_with_couplings)
{
    size_t few = peak_of(4, LEAT_RECOMPUTE_FORWARD), many = peak_of(12, LEAT_RECOMPUTE_FORWARD);
    cr_assert_leq((double)many, 1.3 * (double)few, "%zu, %zu", few, many);
    cr_assert_gt(peak_of(12, LEAT_RECOMPUTE_NONE), 2 * many);
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static const struct {
    int64_t height, width, channels;
} sides[] = { { 3, 4, 1 }, { 4, 6, 1 }, { 0, 4, 1 }, { -2, 4, 1 }, { INT64_MAX - 1, 4, 1 }, { 2, 4, INT64_MAX } };

Test(flowpp, refuses_sides_that_do_not_fit)
{
    for (size_t k = 0; k < sizeof sides / sizeof *sides; k++) {
        leat_model *m = test_model(1);
        leat_flowpp_opts o = models[1];
        o.height = sides[k].height, o.width = sides[k].width, o.channels = sides[k].channels;
        cr_assert_null(leat_flowpp_new(m, &o));
        assert_contains(leat_model_errmsg(m), "not divisible by 2 and by 4");
        leat_model_free(m);
    }
}

static const struct {
    const char *from, *to;
} forged[] = {
    { "\"inner\":", "\"outer\":" },
    { "\"view\":", "\"look\":" },
    { "\"row\":[4,4,2]", "\"row\":[4,2,4]" },
    { "\"dim\":32,\"bits\"", "\"dim\":31,\"bits\"" },
    { "\"widths\":[1,1,4", "\"widths\":[1,1,5" },
    { "\"widths\":[1,1,4,4,4]", "\"widths\":[1,1,4,4,3]" },
};

/* In the file, or at its first use. */
Test(flowpp, forged_files_are_refused)
{
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        leat_model *m = test_model(0);
        const char *path = image_path("forged.safetensors");
        leat_status s = { 0 };
        double score;
        cr_assert_eq(leat_flow_save(leat_flowpp_new(m, &models[1]), path, 0, NULL, &s), LEAT_OK, "%s", s.message);
        rewrite(path, forged[i].from, forged[i].to);
        leat_flow *read = leat_flow_load(path, NULL, NULL, &s);
        if (read)
            leat_fail(&s, leat_flow_score(read, test_tape(leat_flow_model(read)), test_bytes(1, 1, 32), &score),
                      "used");
        cr_assert_neq(s.code, LEAT_OK, "%zu was accepted", i);
        leat_model_free(m);
        if (read)
            leat_model_free(leat_flow_model(read));
        unlink(path);
    }
}
