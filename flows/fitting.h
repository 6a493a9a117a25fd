/* leat/flows: fitting a flow to data. Part of flows.h, which includes it. */
#ifndef LEAT_FITTING_H
#define LEAT_FITTING_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Maximum likelihood on the rows of a table, in shuffled batches, with early stopping and checkpoints:
 *
 *     leat_fit *fit = leat_fit_new(flow, &(leat_fit_opts){
 *         .data = x, .epochs = 200, .validation = 0.1, .patience = 20 });
 *     if (leat_fit_run(fit))
 *         puts(leat_fit_status(fit)->message);
 *
 * The validation rows are drawn once, from a stream of their own, and are never trained on. The weights (parameters and
 * buffers) of the epoch with the least validation loss are kept, and stand in the model when the run is over; without
 * validation rows the last weights do, once they have given a finite loss. With `ema` it is the average of the weights
 * that is validated, kept and stands in the model at the end. A fit lives as long as its model. It never prints:
 * callbacks do.
 *
 * Streams of the seed, beside the model's: epoch e (from 0) shuffles with 2^35 + e; 2^36 draws the validation rows; the
 * tape's random numbers (dropout and the like) are 2^36 + 1; whole numbers are dequantized with 2^37 + e, those held out
 * with 2^36 + 2.
 */
typedef struct leat_fit leat_fit;

typedef enum leat_fit_optimiser {
    LEAT_FIT_ADAM = 0,
    LEAT_FIT_ADAMW,
    LEAT_FIT_ADAMAX,
    LEAT_FIT_RMSPROP,
    LEAT_FIT_SGD,
} leat_fit_optimiser;

/* After a step. All counts are from 1. */
typedef struct leat_step_report {
    int64_t epoch, step, steps; /* steps: of an epoch */
    double loss;                /* of the batch before the step: mean negative log-likelihood, nats */
    double lr;                  /* the schedule's factor included */
} leat_step_report;

/* After an epoch. */
typedef struct leat_epoch_report {
    int64_t epoch;
    double loss;       /* mean over the training rows, each in its batch before the batch's step */
    double validation; /* mean over the validation rows after the epoch, in evaluation mode; NaN: there are none */
    double lr;         /* of the last step */
    double grad_norm;  /* of all gradients together, before clipping, in the last step */
    bool best;         /* the least validation loss so far */
} leat_epoch_report;

/* Rows of bytes, such as images; they take a quarter of the memory of floats. */
typedef struct leat_byte_rows {
    const uint8_t *data; /* NULL: none */
    int64_t rows, columns;
} leat_byte_rows;

typedef struct leat_fit_opts {
    leat_tensor data;    /* [rows, dim], finite; borrowed */
    leat_tensor context; /* [rows, features] for a conditional flow, likewise; data NULL: none */
    /* Both in double instead: they go through the flow's standardizer in double, once. `loss` is given them as
     * leat_real, in the data's own units. */
    leat_doubles doubles, context_doubles;
    leat_byte_rows bytes; /* or these instead, 0 .. 255 in the flow's units; borrowed */
    double validation;    /* the part of the rows that is held out, from 0 to below 1, rounded to whole rows */
    int64_t held_last;    /* or so many rows, the last ones, instead */
    int64_t epochs;       /* at most; 0 trains nothing */
    int64_t batch;        /* rows, 0: 256 */
    int64_t patience;     /* stop after so many epochs without a lower validation loss; 0: never */
    leat_fit_optimiser optimiser;
    double lr;           /* 0: the optimiser's default */
    double weight_decay; /* in the optimiser's own way */
    leat_optim *optim;   /* an optimiser of your own, instead of these three */
    /* What is made small, in place of the mean negative log-likelihood of the batch: a variable with one element. For a
     * bound, a regulariser, or a target that has no data, such as reverse KL: then `data` is empty (x is absent), and an
     * epoch is `steps` steps. Validation is by log-likelihood in any case. Asked once more, in evaluation mode and not
     * recorded, before weights are saved or handed out. */
    leat_var (*loss)(void *user, leat_flow *flow, leat_tape *t, leat_var x, leat_var context);
    int64_t steps;
    const leat_schedule *schedule; /* of steps, counted from 0; borrowed; NULL: constant */
    double clip;                   /* the most that the norm of all gradients may be; 0: any */
    /* The decay of an exponential moving average of the parameters, below 1; 0: none. Update n (from 0) has at most the
     * decay (1 + n) / (10 + n), so that the average soon forgets the start. */
    double ema;
    uint64_t seed;
    /* Each may be NULL. False stops the run after this step or epoch; the fit may be saved, and run again to go on. */
    bool (*on_step)(void *user, leat_fit *f, const leat_step_report *r);
    bool (*on_epoch)(void *user, leat_fit *f, const leat_epoch_report *r);
    void *user;
} leat_fit_opts;

/* Wrong options and data are told by the status, and by every run. NULL: out of memory. */
LEAT_API leat_fit *leat_fit_new(leat_flow *flow, const leat_fit_opts *o);

/* Which rows a fit with these options will hold out, for those who must know before: held[i] of every row. Fails with
 * LEAT_ENOMEM alone. */
LEAT_API leat_code leat_fit_held(const leat_fit_opts *o, bool *held);

/* How many steps an epoch with these options has, for schedules. */
LEAT_API int64_t leat_fit_steps(const leat_fit_opts *o);

/* All epochs that are left, until early stopping, a callback or an error ends them. Errors name step and epoch ("stopped
 * at step 3 of epoch 2: ...") and stay. Then the model has the best weights or, without any, those with which the epoch
 * began, if their loss was finite: see `sound`. At the end the last weights must give the first rows of the training data
 * (a batch of them, in evaluation mode) a finite loss. */
LEAT_API leat_code leat_fit_run(leat_fit *f);

/* One epoch, or the rest of one that a callback stopped, whatever `epochs` and `patience` say; *r (may be NULL) has the
 * epoch 0 if a callback stopped it. */
LEAT_API leat_code leat_fit_epoch(leat_fit *f, leat_epoch_report *r);

LEAT_API const leat_status *leat_fit_status(const leat_fit *f);

typedef struct leat_fit_state {
    int64_t rows, validation_rows; /* rows: of the training data */
    int64_t epoch;                 /* epochs that are complete */
    int64_t step, steps;           /* steps taken in the next one, and how many it has */
    int64_t best_epoch; /* with the least validation loss, or of `ema` without validation the last; 0: none yet */
    bool stopped;       /* a callback ended the last run */
    bool sound;         /* after an error: the weights in the model are some that gave a finite loss */
    bool out_of_patience;
    bool done;                        /* nothing is left for leat_fit_run */
    const leat_epoch_report *history; /* of the complete epochs */
} leat_fit_state;
LEAT_API leat_fit_state leat_fit_get_state(const leat_fit *f);

/* Puts the best weights into the model, or the last ones, from which training goes on (a run does so itself). Without
 * validation and `ema` there is nothing to do. LEAT_ENOMEM, and the model is as it was. */
LEAT_API leat_code leat_fit_use_best(leat_fit *f, bool best);

/*
 * A checkpoint: all that a run depends on, as one safetensors file: weights, best weights, what the optimiser remembers,
 * positions of random streams, losses; metadata tell the options. Saved all or nothing, and not when the fit has failed
 * or the loss of the weights is not finite. `metadata` (pairs of key and
 * text, may be NULL) is added; its keys must not begin with "fit.".
 *
 * Resume takes a fit made in the same way, and what follows has the very bits of a run that never stopped. Refused, with
 * the reason, and nothing changes: data or options that are others than the checkpoint's (epochs, patience and callbacks
 * may differ; a schedule whose steps derive from the epochs then differs too), another architecture or precision, a file
 * that is damaged.
 */
LEAT_API leat_code leat_fit_save(leat_fit *f, const char *path, int64_t metadata_count, const char *(*metadata)[2],
                                 leat_status *s);
LEAT_API leat_code leat_fit_resume(leat_fit *f, const char *path, leat_status *s);

#ifdef __cplusplus
}
#endif

#endif
