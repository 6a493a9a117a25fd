/*
 * leat/nn: parameters, modules, optimisers, batches, and saving. PyTorch's names, shapes, defaults and meanings.
 *
 *     leat_model  *model = leat_model_new(&(leat_model_opts){ .seed = 0 });
 *     leat_module *net   = leat_mlp(model, 2, (int64_t[]){ 128, 128, 0 }, 1, LEAT_RELU);
 *     leat_adam   *adam  = leat_adam_new(model, &(leat_adam_opts){ .lr = 1e-3 });
 *     leat_tape   *tape  = leat_model_tape(model, NULL);
 *     for (...) {
 *         leat_tape_reset(tape);
 *         leat_var guess = leat_forward(net, leat_const(tape, x));
 *         leat_var loss = leat_mean(leat_square(leat_sub(guess, leat_const(tape, y))));
 *         if (leat_backward(loss) || leat_adam_step(adam)) ... leat_tape_errmsg(tape), leat_model_errmsg(model)
 *     }
 *     leat_model_free(model);
 *
 * Lifetime    Everything made from a model (modules, parameters, optimisers, batches, tapes) lives as long as the
 *             model.
 * Building    Constructors do not need to be checked: the first failure is kept on the model (leat_model_code), what is
 *             built from a failed or missing part (NULL, when out of memory) fails too, and using the model on a tape
 *             fails that tape with the same message.
 * Sealing     At the first use (a forward pass, an optimiser, save or load, leat_model_seal) parameters move into flat
 *             arrays of values and gradients and get their initial values: parameter number i draws from stream i of
 *             the model's seed. After that nothing can be attached, and no parameter or buffer added (LEAT_ESTATE). Two
 *             parameters or buffers of the same full name are refused (LEAT_EARG).
 * Names       A module's name is given when it is attached to its parent; a parameter's full name is the path, as in
 *             PyTorch's state_dict: layers.0.net.2.weight. Roots (modules without a parent) add nothing.
 */
#ifndef LEAT_NN_H
#define LEAT_NN_H

#include "../autograd/autograd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- model ------------------------------------------------------------------------------------------------------- */

typedef struct leat_model leat_model;

typedef struct leat_model_opts {
    uint64_t seed;
    int threads;                     /* 0: as many as the process may use; the results do not depend on it */
    const leat_allocator *allocator; /* NULL: malloc */
} leat_model_opts;

/* A program for the wrong precision must not link: the name tells the library's. */
#ifdef LEAT_DOUBLE
#define leat_model_new leat_model_new_f64
#else
#define leat_model_new leat_model_new_f32
#endif

LEAT_API leat_model *leat_model_new(const leat_model_opts *o); /* NULL options: defaults. NULL result: out of memory */
LEAT_API void leat_model_free(leat_model *m);                  /* NULL is allowed */
LEAT_API leat_code leat_model_code(const leat_model *m);
LEAT_API const char *leat_model_errmsg(const leat_model *m);
LEAT_API leat_code leat_model_fail(leat_model *m, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);
LEAT_API leat_code leat_model_seal(leat_model *m);
LEAT_API leat_arena *leat_model_arena(leat_model *m);
LEAT_API leat_pool *leat_model_pool(leat_model *m);
LEAT_API uint64_t leat_model_seed(const leat_model *m);

/* Random numbers for building, such as a permutation's: streams 2^32, 2^32 + 1, ... of the seed, one at each call. */
LEAT_API leat_rng leat_model_stream(leat_model *m);

/* A tape with the model's allocator, pool and seed, freed with the model. Options may be NULL; of them allocator, pool
 * and seed are not looked at, and `stream` is counted from 2^33, so that a tape shares no stream with a parameter's
 * start. NULL (and a failed model) when out of memory. */
LEAT_API leat_tape *leat_model_tape(leat_model *m, const leat_tape_opts *o);

LEAT_API int64_t leat_param_count(const leat_model *m); /* scalars in parameters */

/* One number for all parameters and buffers, names and bytes: equal for equal runs. */
LEAT_API uint64_t leat_model_hash(leat_model *m);

/* A text for people, a line for each module with type, shapes and parameter count; from the arena, NULL if it is
 * full. */
LEAT_API char *leat_summary(leat_model *m, leat_arena *a);

/* ---- parameters and buffers -------------------------------------------------------------------------------------- */

/* How a parameter starts. fill writes all of `t`; a and b are the initialiser's own numbers. */
typedef struct leat_init {
    void (*fill)(leat_rng *rng, leat_tensor t, double a, double b);
    double a, b;
} leat_init;

LEAT_API leat_init leat_init_zeros(void);
LEAT_API leat_init leat_init_constant(double value);
LEAT_API leat_init leat_init_uniform(double low, double high);
LEAT_API leat_init leat_init_normal(double mean, double sd);

typedef struct leat_param {
    leat_leaf leaf; /* name, shape; values and gradients once the model is sealed */
    leat_init init;
    leat_model *model;
    struct leat_param *next; /* in order of creation */
    int64_t offset;          /* in the model's flat arrays */
    int index;
} leat_param;

/* State that is saved but not trained, such as a mask. */
typedef struct leat_buffer {
    const char *name;
    leat_tensor value;
} leat_buffer;

/* ---- modules ----------------------------------------------------------------------------------------------------- */

typedef struct leat_module leat_module;

typedef struct leat_visitor {
    void *user;
    void (*param)(struct leat_visitor *v, leat_module *owner, leat_param *p); /* each may be NULL */
    void (*buffer)(struct leat_visitor *v, leat_module *owner, leat_buffer *b);
    void (*enter)(struct leat_visitor *v, leat_module *m); /* before what the module reports */
    void (*leave)(struct leat_visitor *v, leat_module *m);
} leat_visitor;

typedef struct leat_module_type {
    const char *name;
    /* x and an optional context, absent ({0}) for most; NULL for modules that are no functions */
    leat_var (*forward)(leat_module *m, leat_var x, leat_var context);
    /* reports parameters, buffers and children by leat_visit_param, leat_visit_buffer, leat_visit; NULL: has none */
    void (*visit)(leat_module *m, leat_visitor *v);
    /* after new values were loaded: rebuilds what derives from buffers, refuses what makes no sense; may be NULL */
    leat_code (*loaded)(leat_module *m, leat_status *s);
    /* a few words for leat_summary: "2 -> 128"; may be NULL */
    void (*describe)(const leat_module *m, char *text, size_t size);
} leat_module_type;

/* First member of every module. Zeroed memory from the model's arena, then leat_module_init. */
struct leat_module {
    leat_scope scope; /* its name under its parent */
    const leat_module_type *type;
    leat_model *model;
    leat_module *parent, *next; /* next: of all the model's modules, in order of creation */
};

/* size bytes for a struct that begins with a leat_module, initialised; NULL (and a failed model) when out of memory. */
LEAT_API void *leat_module_new(leat_model *m, const leat_module_type *type, size_t size);

/* Names the child and makes it part of the parent. A child that has a parent already is LEAT_ESTATE. NULLs fail the
 * model. */
LEAT_API void leat_attach(leat_module *parent, leat_module *child, const char *format, ...) LEAT_PRINTF(3, 4);

LEAT_API leat_param *leat_param_new(leat_module *owner, const char *name, leat_shape shape, leat_init init);
LEAT_API leat_buffer *leat_buffer_new(leat_module *owner, const char *name, leat_shape shape); /* zeros */

/* The parameter as a variable of the tape. */
LEAT_API leat_var leat_use(leat_tape *t, leat_param *p);

/* Runs the module inside its scope, so that messages name it. */
LEAT_API leat_var leat_forward(leat_module *m, leat_var x);
LEAT_API leat_var leat_forward_with(leat_module *m, leat_var x, leat_var context);

/* The one traversal: enter, the module's own report, leave. */
LEAT_API void leat_visit(leat_visitor *v, leat_module *m);
LEAT_API void leat_visit_param(leat_visitor *v, leat_module *owner, leat_param *p);
LEAT_API void leat_visit_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b);
LEAT_API void leat_visit_model(leat_visitor *v, leat_model *m); /* every root, in order of creation */

/* The full name: "layers.0.net.2.weight". Returns text. */
LEAT_API const char *leat_param_path(const leat_param *p, char *text, size_t size);

LEAT_API leat_param *leat_find_param(leat_model *m, const char *path); /* NULL: no such parameter. Seals. */
LEAT_API void leat_freeze(leat_module *m, bool frozen);                /* the module's parameters, all the way down */

/* Another initialiser for every parameter below whose own name is `name` ("weight"); the model fails if there is none.
 * Before the model is sealed. */
LEAT_API void leat_set_init(leat_module *m, const char *name, leat_init init);

/* Layers. Linear: y = x w^T + b, weight [out, in] and bias [out], both U(-1/sqrt(in), 1/sqrt(in)) (PyTorch's default).
 * in and out may be 0: then there is nothing in, or out. */
LEAT_API leat_module *leat_linear_layer(leat_model *m, int64_t in, int64_t out);
LEAT_API leat_module *leat_activation_layer(leat_model *m, leat_activation f);

/* Children one after the other, named "0", "1", ..., the activations counted as in PyTorch. A linear layer and the
 * activation behind it run as one op. A context is joined to x along the last axis first. */
LEAT_API leat_module *leat_sequential(leat_model *m);
LEAT_API void leat_sequential_add(leat_module *sequential, leat_module *child);

/* linear, activation, linear, activation, ..., linear; hidden widths end with 0 or after LEAT_MAX_HIDDEN, and may be
 * none: { 0 } or NULL. */
#define LEAT_MAX_HIDDEN 32
LEAT_API leat_module *leat_mlp(leat_model *m, int64_t in, const int64_t *hidden, int64_t out, leat_activation f);

/* ---- optimisers -------------------------------------------------------------------------------------------------- */

/* A step updates every parameter that has a gradient and is not frozen, and empties all gradients. If a gradient is not
 * finite the step is not taken: LEAT_ENONFINITE on the status of the optimiser, naming the parameter; the weights are
 * as they were, and the gradients are emptied all the same. The status is that of the last step. An optimiser that is
 * NULL, because it could not be built, answers LEAT_ESTATE. */

typedef struct leat_sgd leat_sgd;
typedef struct leat_sgd_opts {
    double lr;           /* 0: 1e-3 */
    double weight_decay; /* L2, as PyTorch's SGD */
} leat_sgd_opts;

LEAT_API leat_sgd *leat_sgd_new(leat_model *m, const leat_sgd_opts *o);
LEAT_API leat_code leat_sgd_step(leat_sgd *s);
LEAT_API void leat_sgd_set_lr(leat_sgd *s, double lr);

/* Kingma & Ba, "Adam: a method for stochastic optimization", 2015; the arithmetic is PyTorch's. */
typedef struct leat_adam leat_adam;
typedef struct leat_adam_opts {
    double lr;           /* 0: 1e-3 */
    double beta1, beta2; /* 0: 0.9, 0.999 */
    double eps;          /* 0: 1e-8 */
    double weight_decay; /* L2, added to the gradient, as PyTorch's Adam */
} leat_adam_opts;

LEAT_API leat_adam *leat_adam_new(leat_model *m, const leat_adam_opts *o);
LEAT_API leat_code leat_adam_step(leat_adam *a);
LEAT_API void leat_adam_set_lr(leat_adam *a, double lr);

LEAT_API const leat_status *leat_sgd_status(const leat_sgd *s);
LEAT_API const leat_status *leat_adam_status(const leat_adam *a);

/* The 2-norm of all gradients together, accumulated in double; if it is above `most`, gradients are scaled by
 * most / (norm + 1e-6). Returns the norm before. */
LEAT_API double leat_clip_grad_norm(leat_model *m, double most);
LEAT_API void leat_zero_grad(leat_model *m); /* marks all gradients as empty */

/* ---- batches ----------------------------------------------------------------------------------------------------- */

typedef struct leat_batches leat_batches;
typedef struct leat_batches_opts {
    int64_t size;          /* rows of a batch; the last one of an epoch holds the rest */
    bool in_order;         /* no shuffling */
    bool drop_last;        /* leave out a last batch that is not full */
    uint64_t seed, stream; /* epoch e shuffles with stream + e */
} leat_batches_opts;

/* Over the rows (first axis) of `data`, which is borrowed. */
LEAT_API leat_batches *leat_batches_new(leat_model *m, leat_tensor data, const leat_batches_opts *o);

/* The next batch of the epoch, valid until the next call; false at its end, and then begins the next epoch. */
LEAT_API bool leat_batches_next(leat_batches *b, leat_tensor *batch);
LEAT_API int64_t leat_batches_per_epoch(const leat_batches *b);
LEAT_API leat_index leat_batches_rows(const leat_batches *b); /* which rows the current batch holds */

/* ---- state dict -------------------------------------------------------------------------------------------------- */

/* All parameters and buffers as safetensors, in order of traversal; `metadata` (pairs of key and text, may be NULL)
 * goes into the file's __metadata__. All or nothing. */
LEAT_API leat_code leat_save(leat_model *m, const char *path, int64_t metadata_count, const char *(*metadata)[2],
                             leat_status *s);

/* Every parameter and buffer of the model must be in the file (LEAT_EFORMAT) with its shape (LEAT_ESHAPE), and nothing
 * else (LEAT_EFORMAT): the first that is not is named. On failure, a module's own refusal included, the model keeps its
 * values. `from` names the tensors' origin in messages. */
LEAT_API leat_code leat_load(leat_model *m, const char *path, leat_status *s);
LEAT_API leat_code leat_load_tensors(leat_model *m, const leat_safetensors *f, const char *from, leat_status *s);

#ifdef __cplusplus
}
#endif

#endif
