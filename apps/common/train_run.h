/* Private to the training programs: one run, from its data to its files. */
#ifndef APPS_COMMON_TRAIN_RUN_H
#define APPS_COMMON_TRAIN_RUN_H

#include "image_input.h"
#include "progress.h"
#include "train.h"

/* Streams of the seed, beside the model's and the fit's: the data's. */
#define APP_STREAM_DATA ((uint64_t)1 << 34)

typedef struct app_train_data {
    leat_doubles x, context;                             /* context: data NULL if there is none */
    const char *const *columns, *const *context_columns; /* names; NULL without a header */
    double *lower, *upper;                               /* for leat_standardize_opts */
    bool *whole;
    bool heavy; /* tails, so that the base is to take them */
    bool table; /* from a file */
} app_train_data;

/* Where results go; NULL: nowhere. */
typedef struct app_train_paths {
    const char *model, *failed, *checkpoint, *losses, *samples, *png, *svg;
    const char *reconstruction, *interpolation, *temperatures; /* of images */
} app_train_paths;

/* What there is to say of the data. */
typedef struct app_note {
    const char *line;
    struct app_note *next;
} app_note;

typedef struct app_run {
    const app_train_job *job;
    const app_train_settings *o;
    leat_arena arena;
    leat_status status;
    app_train_data data;                     /* of images x.data is NULL, and the rest of it empty */
    app_image_data *images;                  /* NULL: of a table */
    int64_t held_last;                       /* of a table: how many rows at the end are held out in any case */
    leat_tensor classes;                     /* of images by class: one-hot rows */
    double test;                             /* bits per dimension of the test images; 0: not known */
    double *seconds, mark;                   /* of each epoch, with images; when they were last added to */
    double started, epoch_began, first_step; /* when: the training, the epoch; the first step's end */
    bool out_of_time;
    app_note *notes;
    bool latin1;  /* a name was not UTF-8 */
    double noise; /* that was asked for, NaN: none was; then that of the data, NaN for a table */
    app_train_paths paths;
    leat_model *model;
    leat_flow *flow;
    leat_fit *fit;
    leat_tape *tape; /* draws the samples */
    leat_schedule schedule[2], schedule_whole;
    app_progress progress;
} app_run;

/* Reads or makes the data; refuses what no density can be fitted to, and warns of what is next to it. */
leat_code app_train_load(app_run *r);

/* Puts numbers in the place of what is "auto", and says so if the number of epochs was. */
void app_train_choose(app_run *r, app_training *s);

/* Chooses among three settings by --folds of the rows, in at most half of --minutes. */
void app_train_search(app_run *r, app_training *s);

/* The model and its fit, of the data. */
leat_code app_train_make(app_run *r);

/* Finds the places of the results, and makes sure that they can be written and are no inputs. */
leat_code app_train_prepare(app_run *r);

/* The model, with the weights as they are. `s` need not be the run's own status. */
leat_code app_train_write_model(app_run *r, const char *path, leat_status *s);

/* Losses, samples and pictures. */
leat_code app_train_write_results(app_run *r);

leat_code app_train_write_checkpoint(app_run *r, leat_status *s);

/* ---- images (train_images.c) ---- */

bool app_train_on_images(const app_train_job *job);
leat_code app_train_load_images(app_run *r);
double app_train_bits(const app_run *r, double nats); /* per dimension */

/* A flow for such images, given one of so many classes (0: not); NULL, and a status or a failed model. */
leat_flow *app_image_model_build(leat_model *m, const app_train_job *job, const leat_images *images, int classes,
                                 leat_status *s);

/* Adds the time that has passed to an epoch's, counted from 0; all of them as JSON, for checkpoints, and back. */
void app_train_mark_time(app_run *r, int64_t epoch);
const char *app_train_seconds_text(app_run *r, leat_status *s);
leat_code app_train_read_seconds(app_run *r, const char *checkpoint);

/* What is written of images after an epoch, and at the end. */
void app_train_image_epoch(app_run *r);
leat_code app_train_finish_images(app_run *r);

#endif
