/* Fitting: the same numbers as a loop by hand, the split, early stopping, callbacks, refusals. */
#include "fit_support.h"

#define STREAM_BATCHES ((uint64_t)1 << 35)

enum { ROWS = 90, BATCH = 25 };

/* ---- against a loop by hand -------------------------------------------------------------------------------------- */

static leat_tensor pick(leat_tensor t, const bool *held, bool which)
{
    int64_t width = t.shape.size[1], n = 0;
    leat_tensor out = test_tensor(t.shape.size[0], width);
    for (int64_t i = 0; i < t.shape.size[0]; i++)
        if (held[i] == which)
            memcpy(out.data + width * n++, t.data + width * i, (size_t)width * sizeof(leat_real));
    out.shape.size[0] = n;
    return out;
}

static leat_tensor rows_at(leat_tensor t, leat_index rows)
{
    int64_t width = t.shape.size[1];
    leat_tensor out = test_tensor(rows.count, width);
    for (int64_t i = 0; i < rows.count; i++)
        memcpy(out.data + width * i, t.data + width * rows.at[i], (size_t)width * sizeof(leat_real));
    return out;
}

/* Trains for three epochs without the library's fit; losses of the epochs, and of the held rows behind each. */
static uint64_t by_hand(leat_tensor x, leat_tensor c, leat_tensor held_x, leat_tensor held_c, bool context,
                        double (*losses)[2])
{
    leat_model *m = test_model(3);
    leat_flow *flow = fit_flow(m, context, false);
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_batches *b =
        leat_batches_new(m, x, &(leat_batches_opts){ .size = BATCH, .seed = 9, .stream = STREAM_BATCHES });
    leat_tape *t = test_tape(m);
    for (int epoch = 0; epoch < 3; epoch++) {
        double total = 0;
        leat_tensor batch;
        while (leat_batches_next(b, &batch)) {
            leat_tape_reset(t);
            leat_var given = { 0 };
            if (context)
                given = leat_const(t, rows_at(c, leat_batches_rows(b)));
            leat_var loss = leat_neg(leat_mean(leat_flow_log_prob_given(flow, leat_const(t, batch), given)));
            total += leat_item(loss) * (double)batch.shape.size[0];
            cr_assert_eq(leat_backward(loss), LEAT_OK);
            cr_assert_eq(leat_optim_step(adam), LEAT_OK);
        }
        losses[epoch][0] = total / (double)x.shape.size[0];
        leat_tape_reset(t);
        leat_var given = { 0 };
        if (context)
            given = leat_const(t, held_c);
        leat_tensor score = leat_value(leat_flow_log_prob_given(flow, leat_const(t, held_x), given));
        losses[epoch][1] = 0;
        for (int64_t i = 0; i < held_x.shape.size[0]; i++)
            losses[epoch][1] -= (double)score.data[i] / (double)held_x.shape.size[0];
        assert_tape(t);
    }
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

/* Bits of weights and losses; validation losses up to the order of summation. With and without context and split. */
Test(fit, is_the_loop_that_one_would_write)
{
    for (int k = 0; k < 4; k++) {
        bool context = k % 2, validation = k / 2, held[ROWS];
        int64_t held_count = validation ? 18 : 0;
        double losses[3][2];
        leat_tensor x, c;
        fit_data(1, ROWS, &x, &c);
        held_rows(9, ROWS, held_count, held);
        uint64_t wanted = by_hand(pick(x, held, false), pick(c, held, false), pick(x, held, true), pick(c, held, true),
                                  context, losses);

        leat_model *m = test_model(3);
        leat_fit_opts o = { .data = x, .epochs = 3, .batch = BATCH, .seed = 9, .validation = validation ? 0.2 : 0 };
        if (context)
            o.context = c;
        leat_fit *f = leat_fit_new(fit_flow(m, context, false), &o);
        assert_fit(f);
        leat_fit_state s = leat_fit_get_state(f);
        cr_assert_eq(s.rows, ROWS - held_count);
        cr_assert_eq(s.validation_rows, held_count);
        cr_assert_eq(s.steps, leat_fit_steps(&o));
        cr_assert_eq(s.steps, validation ? 3 : 4);
        cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
        cr_assert_eq(leat_fit_use_best(f, false), LEAT_OK);
        cr_assert_eq(leat_model_hash(m), wanted, "case %d", k);
        s = leat_fit_get_state(f);
        cr_assert(s.done && s.epoch == 3 && s.step == 0 && !s.stopped && !s.out_of_patience);
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(s.history[i].epoch, i + 1);
            cr_assert_eq(s.history[i].loss, losses[i][0]);
            cr_assert_eq(s.history[i].lr, 1e-3);
            cr_assert(s.history[i].grad_norm > 0 && isfinite(s.history[i].grad_norm));
            if (validation)
                cr_assert(fabs(s.history[i].validation - losses[i][1]) < 1e-12, "%.17g, not %.17g",
                          s.history[i].validation, losses[i][1]);
            else
                cr_assert(isnan(s.history[i].validation) && !s.history[i].best);
        }
        leat_model_free(m);
    }
}

/* Noise is of training alone: the validation loss is that of evaluation mode. */
Test(fit, validates_in_evaluation_mode)
{
    leat_tensor x, c;
    bool held[ROWS];
    fit_data(1, ROWS, &x, &c);
    held_rows(0, ROWS, 45, held);
    leat_model *m = test_model(3);
    leat_flow *flow = fit_flow(m, 0, true);
    leat_fit *f = leat_fit_new(flow, &(leat_fit_opts){ .data = x, .epochs = 1, .validation = 0.5 });
    cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
    double scores[ROWS], mean = 0;
    cr_assert_eq(leat_flow_score(flow, test_tape(m), pick(x, held, true), scores), LEAT_OK);
    for (int i = 0; i < 45; i++)
        mean -= scores[i] / 45;
    cr_assert(fabs(leat_fit_get_state(f).history[0].validation - mean) < 1e-12);
    leat_model_free(m);
}

/* ---- early stopping and best weights ----------------------------------------------------------------------------- */

typedef struct witness {
    leat_model *model;
    uint64_t best, last; /* the model's hash at the best epoch and at the last */
    int64_t epochs, steps, stop_step, stop_epoch;
} witness;

static bool see_epoch(void *user, leat_fit *f, const leat_epoch_report *r)
{
    witness *w = user;
    w->last = leat_model_hash(w->model);
    if (r->best)
        w->best = w->last;
    w->epochs++;
    cr_assert_eq(leat_fit_get_state(f).epoch, w->epochs);
    cr_assert_eq(r->epoch, w->epochs);
    return w->epochs != w->stop_epoch;
}

static bool see_step(void *user, leat_fit *f, const leat_step_report *r)
{
    witness *w = user;
    leat_fit_state s = leat_fit_get_state(f);
    w->steps++;
    cr_assert_eq((r->epoch - 1) * r->steps + r->step, w->steps);
    cr_assert_eq(r->step, s.step);
    cr_assert_eq(r->epoch, s.epoch + 1);
    cr_assert(isfinite(r->loss));
    return w->steps != w->stop_step;
}

/* Few rows and large steps: the validation loss soon rises again. */
static leat_fit_opts overfitting(witness *w, leat_tensor x)
{
    return (leat_fit_opts){ .data = x,
                            .epochs = 40,
                            .validation = 0.5,
                            .batch = 10,
                            .lr = 0.05,
                            .on_epoch = see_epoch,
                            .on_step = see_step,
                            .user = w };
}

Test(fit, the_best_weights_stand_at_the_end)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    witness w = { .model = test_model(3) };
    leat_fit_opts o = overfitting(&w, x);
    o.lr = 0.2;
    leat_fit *f = leat_fit_new(fit_flow(w.model, 0, true), &o);
    cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
    leat_fit_state s = leat_fit_get_state(f);
    cr_assert_eq(s.epoch, 40);
    cr_assert(s.best_epoch > 1 && s.best_epoch < 40, "best at %lld", (long long)s.best_epoch);
    for (int64_t i = 0; i < 40; i++) {
        cr_assert_geq(s.history[i].validation, s.history[s.best_epoch - 1].validation);
        cr_assert(!s.history[i].best || i < s.best_epoch);
    }
    cr_assert_neq(w.best, w.last);
    cr_assert_eq(leat_model_hash(w.model), w.best);
    cr_assert_eq(leat_fit_use_best(f, false), LEAT_OK);
    cr_assert_eq(leat_model_hash(w.model), w.last);
    cr_assert_eq(leat_fit_use_best(f, true), LEAT_OK);
    cr_assert_eq(leat_model_hash(w.model), w.best);
    leat_model_free(w.model);
}

Test(fit, patience)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    for (int64_t patience = 1; patience < 6; patience += 2) {
        witness w = { .model = test_model(3) };
        leat_fit_opts o = overfitting(&w, x);
        o.patience = patience;
        leat_fit *f = leat_fit_new(fit_flow(w.model, 0, false), &o);
        cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
        leat_fit_state s = leat_fit_get_state(f);
        cr_assert(s.out_of_patience && s.done && s.epoch < 40);
        cr_assert_eq(s.epoch, s.best_epoch + patience);
        cr_assert_eq(leat_model_hash(w.model), w.best);
        cr_assert_eq(leat_fit_run(f), LEAT_OK);
        cr_assert_eq(w.epochs, s.epoch, "a run that is over went on");

        leat_epoch_report r; /* one more by hand goes on from the last weights, not from the best */
        cr_assert_eq(leat_fit_epoch(f, &r), LEAT_OK);
        cr_assert_eq(r.epoch, s.epoch + 1);
        witness v = { .model = test_model(3) };
        o.user = &v;
        o.patience = 0;
        o.epochs = r.epoch;
        cr_assert_eq(leat_fit_run(leat_fit_new(fit_flow(v.model, 0, false), &o)), LEAT_OK);
        cr_assert_eq(v.last, w.last);
        leat_model_free(v.model);
        leat_model_free(w.model);
    }
}

/* Weights that do not move: the first epoch stays the best, and patience runs out. */
Test(fit, an_equal_loss_is_no_better)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    leat_model *m = test_model(3);
    leat_flow *flow = fit_flow(m, 0, false);
    leat_freeze((leat_module *)flow, true);
    leat_fit *f = leat_fit_new(flow, &(leat_fit_opts){ .data = x, .epochs = 9, .validation = 0.5, .patience = 3 });
    cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
    leat_fit_state s = leat_fit_get_state(f);
    cr_assert(s.best_epoch == 1 && s.epoch == 4, "best %lld of %lld", (long long)s.best_epoch, (long long)s.epoch);
    leat_model_free(m);
}

/* ---- stopping and going on --------------------------------------------------------------------------------------- */

/* Stopped behind each step in turn, and run again: the same bits. */
Test(fit, a_callback_stops_it_anywhere)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    witness straight = { .model = test_model(3) };
    leat_fit_opts o = overfitting(&straight, x);
    o.epochs = 3;
    leat_fit *whole = leat_fit_new(fit_flow(straight.model, 0, true), &o);
    cr_assert_eq(leat_fit_run(whole), LEAT_OK);
    cr_assert_eq(straight.steps, 6);
    for (int stop = 1; stop <= 9; stop++) {
        witness w = { .model = test_model(3),
                      .stop_step = stop <= 6 ? stop : 0,
                      .stop_epoch = stop > 6 ? stop - 6 : 0 };
        o.user = &w;
        leat_fit *f = leat_fit_new(fit_flow(w.model, 0, true), &o);
        cr_assert_eq(leat_fit_run(f), LEAT_OK);
        leat_fit_state s = leat_fit_get_state(f);
        cr_assert(s.stopped);
        if (stop <= 6)
            cr_assert(s.epoch == (stop - 1) / 2 && s.step == (stop - 1) % 2 + 1 && !s.done);
        else
            cr_assert(s.epoch == stop - 6 && s.step == 0);
        cr_assert_eq(leat_fit_run(f), LEAT_OK);
        assert_same_history(f, whole);
        cr_assert(!leat_fit_get_state(f).stopped || stop == 9);
        cr_assert_eq(w.last, straight.last);
        cr_assert_eq(w.steps, 6);
        cr_assert_eq(leat_model_hash(w.model), leat_model_hash(straight.model));
        leat_model_free(w.model);
    }
    leat_model_free(straight.model);
}

Test(fit, an_epoch_that_was_stopped_reports_nothing)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    witness w = { .model = test_model(3), .stop_step = 1 };
    leat_fit_opts o = overfitting(&w, x);
    leat_fit *f = leat_fit_new(fit_flow(w.model, 0, false), &o);
    leat_epoch_report r = { .epoch = 77 };
    cr_assert_eq(leat_fit_epoch(f, &r), LEAT_OK);
    cr_assert_eq(r.epoch, 0);
    cr_assert_eq(leat_fit_epoch(f, &r), LEAT_OK);
    cr_assert_eq(r.epoch, 1);
    leat_model_free(w.model);
}

/* ---- what the steps do ------------------------------------------------------------------------------------------- */

/* Distance of the weights from `before`; copies them there. */
static double weights_move(leat_model *m, leat_real *before)
{
    double squares = 0;
    int64_t seen = 0;
    for (leat_param *p = leat_find_param(m, "base.loc"); p; p = p->next) { /* the first that was made */
        int64_t count = leat_shape_count(&p->leaf.shape);
        for (int64_t i = 0; i < count; i++, seen++) {
            double d = (double)p->leaf.value[i] - (double)before[seen];
            squares += d * d;
            before[seen] = p->leaf.value[i];
        }
    }
    cr_assert_eq(seen, leat_param_count(m));
    return sqrt(squares);
}

/* One step of SGD with lr 1 moves the weights by the gradient, whose norm the clip bounds. */
Test(fit, clip)
{
    leat_tensor x, c;
    leat_real before[100] = { 0 };
    fit_data(5, 40, &x, &c);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        leat_flow *flow = fit_flow(m, 0, false);
        leat_fit_opts o = { .data = x, .epochs = 1, .batch = 40, .lr = 1, .optimiser = LEAT_FIT_SGD };
        o.clip = k ? 0.01 : 0;
        leat_fit *f = leat_fit_new(flow, &o);
        leat_epoch_report r;
        cr_assert_leq(leat_param_count(m), 100);
        weights_move(m, before);
        cr_assert_eq(leat_fit_epoch(f, &r), LEAT_OK, "%s", leat_fit_status(f)->message);
        double moved = weights_move(m, before);
        cr_assert_gt(r.grad_norm, 0.1);
        cr_assert(fabs(moved - (k ? 0.01 : r.grad_norm)) < 1e-4, "moved by %g of %g", moved, r.grad_norm);
        leat_model_free(m);
    }
}

static bool keep_lr(void *user, leat_fit *f, const leat_step_report *r)
{
    (void)f;
    ((double *)user)[(r->epoch - 1) * r->steps + r->step - 1] = r->lr;
    return true;
}

/* The factor of every step, counted through the epochs; where it is 0 nothing moves. */
Test(fit, schedule)
{
    static const leat_schedule half = { LEAT_STEP, .steps = 3, .value = 0.5 };
    static const leat_schedule none = { LEAT_STEP, .steps = 2, .value = 0 };
    leat_tensor x, c;
    double lr[8];
    fit_data(5, 40, &x, &c);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        leat_fit *f = leat_fit_new(fit_flow(m, 0, false), &(leat_fit_opts){ .data = x,
                                                                            .epochs = 4,
                                                                            .batch = 20,
                                                                            .lr = 0.01,
                                                                            .schedule = k ? &none : &half,
                                                                            .on_step = keep_lr,
                                                                            .user = lr });
        leat_epoch_report r;
        uint64_t hash[4];
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(leat_fit_epoch(f, &r), LEAT_OK, "%s", leat_fit_status(f)->message);
            cr_assert_eq(r.lr, lr[2 * i + 1]);
            hash[i] = leat_model_hash(m);
        }
        for (int i = 0; i < 8; i++)
            cr_assert_eq(lr[i], 0.01 * (k ? i < 2 : i < 3 ? 1 : i < 6 ? 0.5 : 0.25), "step %d: %g", i, lr[i]);
        cr_assert_eq(hash[0] == hash[1], k == 1);
        cr_assert_eq(hash[0] == hash[3], k == 1);
        leat_model_free(m);
    }
}

static leat_optim *own_optimiser(leat_model *m, leat_fit_optimiser kind)
{
    leat_adam_opts adam = { .lr = 2e-3, .weight_decay = 0.1 };
    switch (kind) {
    case LEAT_FIT_ADAMW:
        return leat_adamw_new(m, &adam);
    case LEAT_FIT_ADAMAX:
        return leat_adamax_new(m, &adam);
    case LEAT_FIT_RMSPROP:
        return leat_rmsprop_new(m, &(leat_rmsprop_opts){ .lr = 2e-3, .weight_decay = 0.1 });
    case LEAT_FIT_SGD:
        return leat_sgd_new(m, &(leat_sgd_opts){ .lr = 2e-3, .weight_decay = 0.1 });
    case LEAT_FIT_ADAM:
        break;
    }
    return leat_adam_new(m, &adam);
}

/* Each optimiser is what its name says, with its numbers; and they differ. */
Test(fit, optimisers)
{
    uint64_t hash[5];
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    for (int k = 0; k < 5; k++) {
        leat_model *m = test_model(3), *n = test_model(3);
        leat_fit_opts o = { .data = x, .epochs = 2, .batch = 16, .optimiser = (leat_fit_optimiser)k };
        o.lr = 2e-3;
        o.weight_decay = 0.1;
        cr_assert_eq(leat_fit_run(leat_fit_new(fit_flow(m, 0, false), &o)), LEAT_OK);
        leat_flow *flow = fit_flow(n, 0, false);
        leat_fit_opts own = { .data = x, .epochs = 2, .batch = 16, .optim = own_optimiser(n, o.optimiser) };
        cr_assert_eq(leat_fit_run(leat_fit_new(flow, &own)), LEAT_OK);
        hash[k] = leat_model_hash(m);
        cr_assert_eq(hash[k], leat_model_hash(n), "optimiser %d", k);
        for (int i = 0; i < k; i++)
            cr_assert_neq(hash[i], hash[k], "optimisers %d and %d", i, k);
        leat_model_free(m);
        leat_model_free(n);
    }
}

/* Knowing the context is worth log sd(marginal) - log sd(conditional) nats and more. */
Test(fit, conditional)
{
    double loss[2];
    leat_tensor x, c;
    fit_data(5, 1000, &x, &c);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        leat_fit_opts o = { .data = x, .epochs = 15, .lr = 1e-2, .batch = 100 };
        if (k)
            o.context = c;
        leat_fit *f = leat_fit_new(fit_flow(m, k, false), &o);
        cr_assert_eq(leat_fit_run(f), LEAT_OK, "%s", leat_fit_status(f)->message);
        loss[k] = leat_fit_get_state(f).history[14].loss;
        leat_model_free(m);
    }
    cr_assert_lt(loss[1], loss[0] - 0.3, "%g with, %g without", loss[1], loss[0]);
}

Test(fit, no_epochs)
{
    leat_tensor x, c;
    fit_data(5, 40, &x, &c);
    leat_model *m = test_model(3);
    leat_flow *flow = fit_flow(m, 0, false);
    cr_assert_eq(leat_model_seal(m), LEAT_OK);
    uint64_t hash = leat_model_hash(m);
    leat_fit *f = leat_fit_new(flow, &(leat_fit_opts){ .data = x, .validation = 0.25 });
    cr_assert_eq(leat_fit_run(f), LEAT_OK);
    cr_assert_eq(leat_model_hash(m), hash);
    cr_assert(leat_fit_get_state(f).done);
    leat_model_free(m);
}
