/* Private to flows: what a fit is made of. */
#ifndef LEAT_FIT_H
#define LEAT_FIT_H

#include "../flow_impl.h"

/* Some rows of the data. */
typedef struct leat_fit_part {
    int64_t rows;
    int64_t *index; /* which of all the data these are; NULL: the first of them */
    double logdet;  /* of the standardizer, if the data are standardized, in the mean */
} leat_fit_part;

struct leat_fit {
    leat_model *model;
    leat_flow *flow;
    leat_fit_opts o; /* with the defaults filled in */
    leat_status status;

    bool standardized;         /* the data are, so that the flow's standardizer is passed over */
    bool dequantized;          /* and some are whole numbers, whose noise is new in each epoch: */
    int64_t noisy_epoch;       /* the one whose noise they have */
    double *logdet;            /* of the standardizer, for each row */
    leat_fit_part train, held; /* held: the validation rows */
    double *scores;            /* of the validation rows */
    /* Rows that are worked on, those of the current batch or validation rows, and their context. */
    int64_t block_rows;
    leat_real *block, *block_context;
    leat_batches *batches;
    leat_optim *optim;
    double lr;     /* the optimiser's at the beginning */
    leat_ema *ema; /* NULL: none */
    leat_tape *tape;

    /* The weights of the model, and copies of them in the same order: of the best epoch, with validation rows; and of
     * the last step while the best are in the model, or else, if `sound`, those whose loss was finite when the epoch
     * began. */
    leat_safetensors live;
    int64_t numbers;
    leat_real *best, *last;
    bool best_in_use, sound;

    int64_t epoch, step, steps; /* complete epochs; steps taken in the next one, of so many */
    double total;               /* of the epoch under way: sum over rows of their loss */
    double step_lr, grad_norm;  /* of the last step */
    int64_t best_epoch;
    leat_epoch_report *history;
    int64_t history_capacity;
    bool stopped;
};

/* How many rows and columns the data have, and how many of the rows are held out. */
leat_shape leat_fit_shape(const leat_fit_opts *o);
int64_t leat_fit_held_rows(const leat_fit_opts *o);

/* Puts data in double in the place of `data` and `context`. */
leat_code leat_fit_take_doubles(leat_fit *f);

/* Gives the training rows the noise of the epoch under way. */
void leat_fit_dequantize(leat_fit *f);

/* Refuses data and context that do not fit the flow or are not finite. */
leat_code leat_fit_check_data(const leat_flow *flow, const leat_fit_opts *o, leat_status *s);

/* Training and validation rows, the latter drawn, and room for blocks of them; memory is the model's. */
leat_code leat_fit_split(leat_fit *f);

/* Rows of a part, by their numbers in it or the first ones (NULL), at most block_rows, as [rows, dim] and their context;
 * tensors without data where there are none. They stand until the next call. */
void leat_fit_take(leat_fit *f, const leat_fit_part *part, const int64_t *which, int64_t rows, leat_tensor *x,
                   leat_tensor *context);

/* Mean negative log-likelihood of the validation rows, on the status if it is not finite. */
leat_code leat_fit_validate(leat_fit *f, double *loss, leat_status *s);

/* Refuses weights with which the loss of the first rows is not finite. */
leat_code leat_fit_check_weights(leat_fit *f, leat_status *s);

/* One number for the bits and shapes of data and context, and for the flow's units if the data are in double. */
uint64_t leat_fit_hash(const leat_fit *f);

/* Copies the model's weights to `to`, one tensor behind the other. */
void leat_fit_pack(const leat_fit *f, leat_real *to);

/* Room for so many reports. */
leat_code leat_fit_reserve(leat_fit *f, int64_t epochs);

/* What must be the same where a checkpoint is resumed, as texts for its metadata: key and value, the most telling first.
 * Memory from the arena; how many, or 0 when out of memory. */
#define LEAT_FIT_FORMAT  "1"
#define LEAT_FIT_OPTIONS 12        /* at most */
#define LEAT_FIT_AVERAGE "average" /* among the optimiser's tensors */
typedef const char *leat_fit_text[2];
int64_t leat_fit_list_options(const leat_fit *f, leat_arena *a, leat_fit_text out[LEAT_FIT_OPTIONS]);

#endif
