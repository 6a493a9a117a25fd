/* Private to flows: what the parts of the checker share. */
#ifndef LEAT_CHECK_IMPL_H
#define LEAT_CHECK_IMPL_H

#include "../flow_impl.h"

typedef struct leat_check {
    leat_flow *flow;
    const leat_module *part; /* what is being looked at, for messages; NULL: the whole flow */
    int first, end;          /* its transforms: of the flow's, first .. end - 1 */
    leat_tape *tape;
    leat_arena *arena;
    leat_tensor context;
    bool standardized; /* rows and context are, as leat_flow_call has it */
    double tolerance;
    int64_t jacobian_rows;
    leat_flow_report *report;
} leat_check;

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Keeps the first complaint, with the place in front if it does not begin with it. */
void leat_check_complain(leat_check *c, const char *format, ...) LEAT_PRINTF(2, 3);

/* Zeroed, from the arena; NULL and a complaint when out of memory. */
void *leat_check_alloc(leat_check *c, size_t bytes);

/* Whether the tape has failed; then that is a complaint. */
bool leat_check_failed(leat_check *c);

/* Adds to the report what was not looked at. */
void leat_check_unseen(leat_check *c, const char *what);

/* Raises *worst to `error`, a NaN included; complains if it is over the tolerance. `rounding` is what rounding alone can
 * do at this place: more than the tolerance is allowed for that, up to a hundred times as much. */
void leat_check_judge(leat_check *c, double *worst, double error, double rounding, const char *what);

/* n rows, taken in turn from those of `from`; memory of the arena; data NULL and a complaint if there is none. */
leat_tensor leat_check_repeat(leat_check *c, leat_tensor from, int64_t n);

/* The context as the flow's parts see it, its first n rows. */
leat_var leat_check_context(leat_check *c, int64_t n);

/* The part's transforms in turn, log-determinants added up. With `noise`, what enters each is moved by some units of
 * rounding: the difference shows what rounding does. */
leat_pair leat_check_run(leat_check *c, leat_var x, bool inverse, bool noise);

/* The log-determinant against that of the Jacobian, and of a coupling its triangular form (jacobian.c). */
void leat_check_jacobian(leat_check *c, leat_tensor x);

/* Shape, draws and integral of the base's density (base_check.c). */
void leat_check_base(leat_check *c);

#endif
