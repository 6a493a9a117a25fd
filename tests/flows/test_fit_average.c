/* Fitting rows of bytes, holding out the last rows, and the average of the weights: against other ways to the same. */
#include "fit_support.h"

enum { ROWS = 83, HELD = 20, BATCH = 25, EPOCHS = 3 };

/* Rows of two bytes, and the same as numbers. */
static leat_byte_rows bytes_of(leat_tensor *x)
{
    static uint8_t bytes[2 * ROWS];
    leat_tensor c;
    fit_data(1, ROWS, x, &c);
    for (int i = 0; i < 2 * ROWS; i++) {
        bytes[i] = (uint8_t)(128 + rint(10 * fmax(-12, fmin(12, (double)x->data[i]))));
        x->data[i] = (leat_real)bytes[i];
    }
    return (leat_byte_rows){ bytes, ROWS, 2 };
}

/* The hash of the weights at the end of a run, and its losses, by epoch: of training, of validation. */
static uint64_t run(leat_fit_opts o, double (*losses)[2])
{
    leat_model *m = test_model(3);
    leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &o);
    cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
    for (int i = 0; i < EPOCHS; i++) {
        losses[i][0] = leat_fit_get_state(f).history[i].loss;
        losses[i][1] = leat_fit_get_state(f).history[i].validation;
    }
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

Test(fit, bytes_are_numbers)
{
    for (int held = 0; held < 2; held++) {
        leat_tensor x;
        leat_fit_opts o = { .epochs = EPOCHS, .batch = BATCH, .held_last = held * HELD, .seed = 9 }, other = o;
        double losses[EPOCHS][2], wanted[EPOCHS][2];
        o.bytes = bytes_of(&x);
        other.data = x;
        uint64_t hash = run(o, losses);
        cr_assert_eq(hash, run(other, wanted));
        cr_assert_eq(memcmp(losses, wanted, sizeof losses), 0);
        o.seed = 10;
        cr_assert_neq(hash, run(o, losses));
    }
}

Test(fit, the_last_rows_are_held_out)
{
    leat_tensor x, c;
    bool held[ROWS];
    fit_data(1, ROWS, &x, &c);
    leat_fit_opts o = { .data = x, .epochs = 1, .held_last = HELD };
    cr_assert_eq(leat_fit_held(&o, held), LEAT_OK);
    for (int i = 0; i < ROWS; i++)
        cr_assert_eq(held[i], i >= ROWS - HELD);
    cr_assert_eq(leat_fit_steps(&o), 1);
    leat_model *m = test_model(3);
    leat_flow *flow = fit_flow(m, 0, false);
    leat_fit *f = leat_fit_new(flow, &o);
    cr_assert_eq(leat_fit_run(f), LEAT_OK);
    leat_tensor last = { x.data + 2 * (ROWS - HELD), LEAT_SHAPE(HELD, 2) };
    double scores[HELD], mean = 0;
    cr_assert_eq(leat_flow_score(flow, test_tape(m), last, scores), LEAT_OK);
    for (int i = 0; i < HELD; i++)
        mean -= scores[i] / HELD;
    cr_assert_float_eq(leat_fit_get_state(f).history[0].validation, mean, 1e-12 * fabs(mean) + 1e-12);
    leat_model_free(m);
}

/* ---- the average ------------------------------------------------------------------------------------------------- */

typedef struct averaging {
    double *average; /* of every number, in the order of the parameters */
    double decay;
    int64_t updates;
    leat_model *model;
} averaging;

static int64_t copy_weights(leat_model *m, double *to)
{
    int64_t n = 0;
    for (int k = 0; k < 2; k++)
        for (int layer = 0; layer <= 2; layer += 2)
            for (int part = 0; part < 2; part++) {
                char name[60];
                snprintf(name, sizeof name, "layers.%d.net.%d.%s", k, layer, part ? "bias" : "weight");
                leat_tensor t = param_value(m, name);
                for (int64_t i = 0; i < leat_shape_count(&t.shape); i++)
                    to[n++] = (double)t.data[i];
            }
    return n;
}

/* What the average is to be, from the weights behind each step. */
static bool follow(void *user, leat_fit *f, const leat_step_report *r)
{
    (void)f, (void)r;
    averaging *a = user;
    double now[200], decay = fmin(a->decay, (double)(1 + a->updates) / (double)(10 + a->updates));
    int64_t n = copy_weights(a->model, now);
    for (int64_t i = 0; i < n; i++)
        a->average[i] += (1 - decay) * (now[i] - a->average[i]);
    a->updates++;
    return true;
}

/* With validation rows and without: what stands at the end is the average, of the best epoch or the last. */
Test(fit, the_average_stands_at_the_end)
{
    for (int held = 0; held < 2; held++) {
        leat_tensor x, c;
        double average[200], got[200];
        averaging user = { average, 0.9, 0, test_model(3) };
        fit_data(1, ROWS, &x, &c);
        leat_flow *flow = fit_flow(user.model, 0, false);
        leat_fit *f = leat_fit_new(flow, &(leat_fit_opts){ .data = x,
                                                           .epochs = EPOCHS,
                                                           .batch = BATCH,
                                                           .held_last = held * HELD,
                                                           .lr = 0.01,
                                                           .ema = 0.9,
                                                           .on_step = follow,
                                                           .user = &user });
        cr_assert_eq(leat_model_seal(user.model), LEAT_OK);
        int64_t n = copy_weights(user.model, average);
        cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
        cr_assert_eq(leat_fit_get_state(f).best_epoch, EPOCHS); /* the loss still falls */
        copy_weights(user.model, got);
        for (int64_t i = 0; i < n; i++)
            cr_assert_float_eq(got[i], average[i], 2 * CLOSE, "%g, not %g", got[i], average[i]);
        cr_assert_eq(leat_fit_use_best(f, false), LEAT_OK); /* and training goes on from other weights */
        copy_weights(user.model, average);
        double apart = 0;
        for (int64_t i = 0; i < n; i++)
            apart = fmax(apart, fabs(got[i] - average[i]));
        cr_assert_gt(apart, 1e-3);
        leat_model_free(user.model);
    }
}
