/*
 * A trained flow as the commands of leat use it: opened from a file, with the names of its columns and the rows of a
 * table that belong to it.
 */
#ifndef APPS_LEAT_TRAINED_H
#define APPS_LEAT_TRAINED_H

#include "../../flows/flows.h"
#include "../../tensor/files/json.h"

typedef struct app_trained {
    const char *program; /* for messages: "leat score" */
    const char *path;
    leat_arena arena;
    leat_status status;
    leat_model *model;
    leat_flow *flow;
    leat_tape *tape;               /* does not record, evaluates */
    leat_shape image;              /* height, width, channels of a flow of images; rank 0: it is none */
    const char *const *columns;    /* names of the features, leat_flow_dim of them; NULL: not known */
    const char *const *conditions; /* names of the context's columns, leat_flow_context of them; NULL: not known */
    leat_json *record;             /* of the training; NULL: none */
} app_trained;

/* How a file is opened. */
typedef struct app_trained_opts {
    int64_t threads;
    int scale;         /* a leat_scale_map, of a PyTorch state_dict of RealNVP, which does not tell */
    double tail_bound; /* of nflows' splines, of which it does not tell either */
    int64_t seed;      /* of the tape's random numbers */
} app_trained_opts;

/* Opens a model of leat, or a PyTorch state_dict of the reference's NICE or RealNVP; "-" is standard input. A line on
 * standard error says what the latter cannot tell, and of the former, that the run which trained it failed. */
leat_code app_trained_open(app_trained *m, const char *program, const char *path, const app_trained_opts *o);

/* Ends a command: prints the status, if it is a failure, as one line on standard error, and frees everything. Returns
 * the exit code. */
int app_trained_close(app_trained *m);

#endif
