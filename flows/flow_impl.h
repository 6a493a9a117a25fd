/* Private to flows: what a flow and a chain are made of, and what transforms share. */
#ifndef LEAT_FLOW_IMPL_H
#define LEAT_FLOW_IMPL_H

#include "flows.h"
#include "../nn/layers/layers.h"
#include "../nn/module_json.h"

typedef struct leat_chain_parts {
    leat_transform transform;
    leat_transform **layers;
    int length, capacity;
    bool standardized; /* the first one is a standardizer, named `input` */
    leat_recompute recompute;
} leat_chain_parts;

struct leat_flow {
    leat_module module;
    leat_base *base;
    leat_chain_parts *chain;               /* adds nothing to names */
    int64_t context;                       /* features, 0 for none */
    leat_transform *input, *context_input; /* standardizers; NULL: none; input is the chain's first */
    int64_t points;                        /* over which scores of whole numbers are averaged */
};

/* The types that a file can hold; leat_flow_read looks through them (files/flow_json.c). */
extern const leat_transform_type leat_coupling_type, leat_conditional_type, leat_permutation_type, leat_reverse_type,
    leat_diagonal_scale_type, leat_actnorm_type, leat_batch_norm_transform_type, leat_lu_linear_type,
    leat_standardizer_type, leat_chain_type, leat_view_type, leat_split_type, leat_inverse_of_type,
    leat_autoregressive_type, leat_squeeze_type, leat_dequantize_type, leat_logit_type, leat_householder_type,
    leat_planar_type, leat_radial_type, leat_sylvester_type, leat_block_autoregressive_type;
extern const leat_base_type leat_normal_type, leat_diagonal_normal_type, leat_logistic_type, leat_student_t_type,
    leat_generalized_normal_type, leat_conditional_normal_type, leat_class_normal_type, leat_gaussian_mixture_type,
    leat_uniform_box_type;
extern const leat_module_type leat_bounded_scale_type;
extern const leat_elementwise leat_default_rational_quadratic, leat_default_clipped_rational_quadratic,
    leat_default_logistic_mixture, leat_default_flowpp_mixture, leat_default_normal_mixture, leat_default_linear_spline,
    leat_default_quadratic_spline, leat_default_sos_polynomial, leat_default_bernstein_polynomial,
    leat_default_deep_sigmoid;

/* ---- running ----------------------------------------------------------------------------------------------------- */

static inline leat_pair leat_failed_pair(leat_var x)
{
    return (leat_pair){ { .tape = x.tape }, { .tape = x.tape } };
}

/* Forward, or inverse, in the transform's scope; the log-determinant is [batch], or the tape has failed. */
leat_pair leat_transform_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse);

/* The chain on a recording tape, keeping only what its `recompute` says (recompute.c). */
leat_pair leat_chain_recompute(leat_chain_parts *c, leat_var x, const leat_flow_call *call, bool inverse);

/* From x, which holds what the transform has made of its input, and which takes on that input: the transform, run
 * again. */
leat_pair leat_transform_rebuild(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse);

leat_inverse_kind leat_kind_of(const leat_transform *t);
leat_inverse_kind leat_inverse_closed(const leat_transform *t); /* LEAT_INVERSE_CLOSED */
leat_inverse_kind leat_inverse_exact(const leat_transform *t);  /* LEAT_INVERSE_EXACT */

/* How many of the tape's random numbers a row takes in that direction. */
int64_t leat_transform_numbers(const leat_transform *t, bool inverse);
int64_t leat_base_numbers(const leat_base *b);
int64_t leat_flow_numbers_per_row(const leat_flow *f, bool inverse); /* inverse: of a draw */

/* A standardizer (transforms/standardizer.c on a tape, units.c outside of one). */
typedef struct leat_standardizer_parts {
    leat_transform transform;
    leat_buffer *mean, *sd;
    leat_buffer *lower, *upper, *whole; /* NULL: no column has bounds, or whole numbers */
    leat_real *line;                    /* of columns with bounds, for the tape */
    double log_sd;                      /* the sum of all log sd */
    double step;                        /* of the sequence that dequantizes */
    bool input;                         /* the flow's own, which leat_flow_call.standardized passes over */
} leat_standardizer_parts;

leat_transform *leat_standardizer_of(leat_model *m, const leat_units *u);
leat_code leat_flow_set_units(leat_flow *f, const leat_units *units, const leat_units *context);

/* How whole numbers become real ones: by random numbers, or by point 0, 1, .. of a sequence. */
typedef struct leat_dequantizer {
    leat_rng *rng;
    int64_t point;
} leat_dequantizer;

/* What a standardizer (NULL: none) makes of rows in double, and back, with the log-determinants, [rows], which may be
 * NULL. That of a row outside of its bounds is -inf. */
void leat_units_prepare(leat_standardizer_parts *s);
void leat_units_apply(const leat_transform *t, const double *x, int64_t rows, int64_t columns,
                      const leat_dequantizer *d, leat_real *y, double *logdet);
void leat_units_undo(const leat_transform *t, const leat_real *y, int64_t rows, int64_t columns, double *x,
                     double *logdet);

/* A flow's public functions, with the context in the call, on rows that its standardizers are applied to, or have been
 * already. */
leat_pair leat_flow_run(leat_flow *f, leat_var x, const leat_flow_call *call, bool inverse);
leat_var leat_flow_run_log_prob(leat_flow *f, leat_var x, const leat_flow_call *call);
leat_var leat_flow_run_sample(leat_flow *f, leat_tape *t, int64_t n, double temperature, const leat_flow_call *call);

/* What log-densities are made of: for each row, sums of log-determinants by kind of transform, and the base's part. */
typedef enum leat_ledger_entry {
    LEAT_LEDGER_DEQUANTISATION,
    LEAT_LEDGER_PREPROCESSING,
    LEAT_LEDGER_BASE,
    LEAT_LEDGER_LEVELS, /* and LEAT_MAX_LEVELS - 1 more */
} leat_ledger_entry;
enum { LEAT_LEDGER_ENTRIES = LEAT_LEDGER_LEVELS + LEAT_MAX_LEVELS };

typedef struct leat_ledger {
    double *rows;  /* [n, LEAT_LEDGER_ENTRIES] */
    int64_t begin; /* the row that comes first in variables */
    int levels;
} leat_ledger;

void leat_ledger_add(leat_ledger *l, leat_ledger_entry entry, leat_var numbers);
void leat_ledger_add_transform(const leat_flow_call *call, leat_transform *t, leat_var logdet);

/* leat_flow_score_given by draw 0, 1, .. of the transforms' random numbers; the ledger may be NULL. */
leat_code leat_flow_score_point(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, int64_t point,
                                leat_ledger *ledger, double *out);

/* The logarithm of the mean of k numbers, whose mean has the logarithm `mean`, and one more. */
double leat_add_to_mean(double mean, double next, int64_t k);

/* leat_flow_score_given of rows that have been standardized. */
leat_code leat_flow_score_units(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, double *out);

/* Puts a standardizer in front. */
void leat_chain_standardize(leat_chain_parts *c, leat_transform *input);

/* What the parts of the flow see of a context: standardized, if the flow does that. */
leat_var leat_flow_see_context(const leat_flow *f, const leat_flow_call *call);

/* Adds what stands in front of transform number i, from 0 (models/maf.c). */
void leat_flow_add_between(leat_flow *f, int i, leat_between between);

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

/* Rows of any rank with that many features, [batch, .., dim]; fails the tape otherwise. */
bool leat_check_features(leat_var x, int64_t dim, const char *what);

/* Rows of that very shape; fails the tape otherwise. */
bool leat_check_row(leat_var x, leat_shape row, const char *what);

/* Refuses fewer features than one; false if it did, or if the part is NULL. */
bool leat_check_dim(const void *part, leat_model *m, int64_t dim, const char *what);

/* A number for every feature, added up, as a log-determinant: [] to [batch], once for each position of x. */
leat_var leat_logdet_of_features(leat_var sum, leat_var x, bool inverse);

/* Zeros of shape [batch], for a transform that keeps volume. */
leat_var leat_zero_logdet(leat_var x);

/* x [batch, ..] in rows of another shape, and a shape without its first axis. */
leat_var leat_as_rows(leat_var x, const leat_shape *row);
leat_shape leat_row_of(leat_var x);

/* The shape of a row after the transform, in place of that before; false if it does not fit. */
bool leat_transform_row(const leat_transform *t, leat_shape *row);

/* Which of a row's `numbers` have been changed, after the transform has run forward; see trace_moved. The second is that
 * of transforms that change and reorder nothing. */
void leat_transform_trace(const leat_transform *t, int64_t numbers, bool *moved);
void leat_trace_nothing(const leat_transform *t, int64_t numbers, bool *moved);

/* The same of y_j = x_order[j], for each `dim` numbers. */
void leat_trace_order(const int64_t *order, int64_t dim, int64_t numbers, bool *moved);

/* What a transform begins with that a file tells by its features and, if it has a name, another size; its `write`. */
typedef struct leat_sized_transform {
    leat_transform transform;
    int64_t dim, size;
    const char *size_name;
} leat_sized_transform;
void leat_sized_write(const leat_module *m, leat_part_writer *w);

/* A map of features, log-derivatives for each, with y_j growing with x_j onto all numbers, and its numerical inverse: the
 * Jacobian is triangular, so that one feature is found after the other, the first or the last first. */
typedef leat_pair leat_map(leat_transform *t, leat_var x);
leat_pair leat_triangular_run(leat_transform *t, leat_map *map, leat_var x, bool inverse, bool last_first);

/* ---- elementwise bijectors ---------------------------------------------------------------------------------------- */

/* Group g with an axis of its own, also if it is one number. */
leat_var leat_elementwise_axis(const leat_elementwise *e, const leat_var *theta, int g);

/* For that model, the first group so wide, the first number that; 0: as it was. NULL, and the model has failed. */
leat_elementwise *leat_elementwise_copy(leat_model *m, const leat_elementwise *of, int64_t width, double number);

/* Fails x's tape unless its widths and numbers, which a file may have given, make sense. */
bool leat_elementwise_demand(const leat_elementwise *e, leat_var x, bool sense);

/* Raw numbers [.., n] as parts of 1, each at least `least`: least + (1 - n least) softmax(raw). */
leat_var leat_parts_of_one(leat_var raw, double least);

/* ---- masks: nobody else reads their arrays ------------------------------------------------------------------------ */

/* A mask of its own, for a part that a file may give other values; and the buffer `mask` with those values. */
leat_mask leat_mask_copy(const leat_mask *mask);
leat_buffer *leat_mask_buffer(const leat_mask *mask, leat_module *owner);

/* Over the positions of images, [height, width], or with height 0 over features, [dim]. */
leat_mask leat_mask_over(leat_model *m, int64_t height, int64_t width, int64_t dim, const leat_real *values);
void leat_mask_write(const leat_mask *mask, leat_part_writer *w);
bool leat_mask_read(leat_part_reader *r, const leat_json *v, leat_mask *mask); /* false, and a status */
void leat_mask_describe(const leat_mask *mask, char *text, size_t size);

/* Rows that it can be laid upon; fails the tape otherwise. */
bool leat_mask_fits(const leat_mask *mask, leat_var x);

/* What a conditioner gives of the moved part alone, and what is kept beside each moved number, if anything is. */
leat_var leat_mask_theta(const leat_mask *mask, leat_var out);
leat_var leat_mask_given(const leat_mask *mask, leat_var x);

/* Other places kept and moved, as many as before; the mask is unchanged if the values are refused. */
leat_code leat_mask_set(leat_mask *mask, const leat_real *values, leat_status *s);

/* Rows outside of a tape: what is moved out of them (or into them), the shape that it has, and whether two rows hold the
 * same bits in what is kept. */
leat_shape leat_mask_moved_shape(const leat_mask *mask, leat_shape rows);
void leat_mask_take(const leat_mask *mask, leat_tensor rows, leat_real *moved);
void leat_mask_put(const leat_mask *mask, leat_tensor rows, const leat_real *moved);
bool leat_mask_keeps(const leat_mask *mask, leat_tensor a, leat_tensor b);
void leat_mask_trace(const leat_mask *mask, int64_t numbers, bool *moved);

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* The features of a transform that is read: its "dim", or the flow's in files that tell none; -1 and a status. */
int64_t leat_read_dim(leat_part_reader *r, const leat_json *v);

/* The part's own tensor [features]; NULL and a status. */
const leat_tensor *leat_read_tensor(leat_part_reader *r, const char *name, int64_t features);

/* The transform that a description tells, named as said in what is read; NULL and a status. */
leat_transform *leat_part_transform(leat_part_reader *r, const leat_json *v, const char *format, ...) LEAT_PRINTF(3, 4);

#endif
