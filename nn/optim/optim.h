/*
 * Private to nn: what optimisers share, and what a new one must say.
 *
 * An optimiser is a leat_optim_type: which kernel steps (kernels_optim.h), what is remembered of each number, and a
 * function from the options and a parameter's count of steps to the kernel's constants. Everything else is here:
 * groups, schedules' factor, counts, threads, the refusal of gradients that are not finite, saving and restoring.
 */
#ifndef LEAT_OPTIM_H
#define LEAT_OPTIM_H

#include "../../tensor/kernels/kernels.h"
#include "../model.h"

enum { LEAT_OPTIM_GRAIN = 8192 }; /* numbers a thread takes at least */

/* The options of all optimisers; each uses some, the others are 0. */
typedef struct leat_optim_options {
    double lr, weight_decay, momentum, beta1, beta2, eps;
} leat_optim_options;

/* One step of one parameter. */
typedef struct leat_optim_moment {
    double lr, weight_decay; /* by its group; lr times the factor of the schedule */
    double power1, power2;   /* beta1 and beta2 to its count of steps, this one included */
} leat_optim_moment;

typedef struct leat_optim_type {
    const char *name; /* in messages */
    int kernel;       /* LEAT_STEP_adam, ... */
    const char
        *slots[LEAT_STEP_STATES]; /* what the kernel's arrays are called, PyTorch's names; NULL behind the last */
    leat_step_constants (*constants)(const leat_optim_options *o, const leat_optim_moment *at);
} leat_optim_type;

/* What an optimiser knows of one parameter. */
typedef struct leat_optim_param {
    int64_t steps;
    double power1, power2; /* by repeated multiplication */
    leat_group group;
} leat_optim_param;

struct leat_optim {
    const leat_optim_type *type;
    leat_model *model;
    leat_optim_options options;
    double factor;
    leat_status status;
    leat_optim_param *params; /* by index */
    int slots;
    leat_real *slot[LEAT_STEP_STATES]; /* flat arrays */
};

/* Seals the model and checks the options, which must be finite and not negative, betas below 1. NULL, and a failed
 * model, when one is not or there is no memory. */
leat_optim *leat_optim_new(leat_model *m, const leat_optim_type *type, const leat_optim_options *o);

/* An option that was left out. */
static inline double leat_option_or(double value, double missing)
{
    return value != 0 ? value : missing;
}

/* Parameters that follow each other and are due, as one stretch begin .. end of the flat arrays, gaps included. A
 * parameter is due when it has a gradient and is not frozen. */
typedef struct leat_run {
    leat_param *first, *after; /* after: the first parameter behind the run, or NULL */
    int64_t begin, end;
} leat_run;

/* The first run at or behind p. With an optimiser, a run holds only parameters of one count of steps and one group. */
bool leat_run_find(leat_param *p, const leat_optim *o, leat_run *run);

#endif
