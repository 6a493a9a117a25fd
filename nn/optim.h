/* Private to nn: what optimisers share. A parameter is due when it has a gradient and is not frozen. */
#ifndef LEAT_OPTIM_H
#define LEAT_OPTIM_H

#include "model.h"

enum { LEAT_OPTIM_GRAIN = 8192 }; /* numbers a thread takes at least */

/* Parameters that follow each other and are due, as one stretch begin .. end of the flat arrays, gaps included. */
typedef struct leat_run {
    leat_param *first, *after; /* after: the first parameter behind the run, or NULL */
    int64_t begin, end;
} leat_run;

/* The first run at or behind p. With `steps`, counts by index, a run holds only parameters of equal count. */
bool leat_run_find(leat_param *p, const int64_t *steps, leat_run *run);

/* What the optimisers have in common; each is a struct that begins with one. */
struct leat_optim {
    leat_model *model;
    double lr, factor;
    leat_status status;
    int64_t *steps; /* by parameter */
    void (*update)(leat_optim *o, const leat_run *run);
};

/* `size` zeroed bytes that begin with a leat_optim; NULL, and a failed model, when out of memory. */
void *leat_optim_new(leat_model *m, size_t size, double lr, void (*update)(leat_optim *o, const leat_run *run));

/* Clears the status, then checks all that could speak against a step: the model, the learning rate, the gradients. A
 * gradient that is not finite is named, and the gradients are emptied. */
leat_code leat_step_begin(leat_model *m, double lr, leat_status *s);

/* LEAT_EARG on the model, and false, if the value is not a finite number >= 0. */
bool leat_check_option(leat_model *m, const char *optimiser, const char *name, double value);

#endif
