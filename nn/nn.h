/*
 * leat/nn: parameters, modules, optimisers, batches, and saving. PyTorch's names, shapes, defaults and meanings.
 *
 *     leat_model  *model = leat_model_new(&(leat_model_opts){ .seed = 0 });
 *     leat_module *net   = leat_mlp(model, 2, (int64_t[]){ 128, 128, 0 }, 1, LEAT_RELU);
 *     leat_optim  *adam  = leat_adam_new(model, &(leat_adam_opts){ .lr = 1e-3 });
 *     leat_tape   *tape  = leat_model_tape(model, NULL);
 *     for (...) {
 *         leat_tape_reset(tape);
 *         leat_var guess = leat_forward(net, leat_const(tape, x));
 *         leat_var loss = leat_mean(leat_square(leat_sub(guess, leat_const(tape, y))));
 *         if (leat_backward(loss) || leat_optim_step(adam)) ... leat_model_status(model)->message
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
/* The one question at the end: the failure that stands on the model, or else on the latest of its tapes, optimisers and
 * fits that has one; code LEAT_OK if there is none. */
LEAT_API const leat_status *leat_model_status(const leat_model *m);
LEAT_API leat_code leat_model_fail(leat_model *m, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);
LEAT_API leat_code leat_model_seal(leat_model *m);
LEAT_API leat_arena *leat_model_arena(leat_model *m);
LEAT_API leat_pool *leat_model_pool(leat_model *m);
LEAT_API uint64_t leat_model_seed(const leat_model *m);

/* Random numbers for building, such as a permutation's: streams 2^32, 2^32 + 1, ... of the seed, one at each call. */
LEAT_API leat_rng leat_model_stream(leat_model *m);

/* A tape with the model's allocator, pool and seed, freed with the model. Options may be NULL; of them allocator, pool
 * and seed are not looked at, and `stream` is counted from 2^33, so that a tape shares no stream with a parameter's
 * start. NULL (and a failed model) when out of memory.
 *
 * Threads. A model is built, given its tapes and sealed (leat_model_seal) by one thread; after that any number of threads
 * may score with it at once, each on a tape of its own. Training, loading and making tapes are for one thread while no
 * other uses the model. The model's pool serves one of them at a time; the others compute on their own thread. */
LEAT_API leat_tape *leat_model_tape(leat_model *m, const leat_tape_opts *o);

LEAT_API int64_t leat_param_count(const leat_model *m); /* scalars in parameters */

/* One number for all parameters and buffers, names and bytes: equal for equal runs. */
LEAT_API uint64_t leat_model_hash(leat_model *m);

/* A text for people, a line for each module with type, shapes and parameter count; from the arena, NULL if it is
 * full. */
LEAT_API char *leat_summary(leat_model *m, leat_arena *a);

/* ---- parameters and buffers -------------------------------------------------------------------------------------- */

/* What an initialiser that can fail gets: a random stream, memory that it need not give back, where to say why. */
typedef struct leat_init_job {
    leat_rng *rng;
    leat_arena *scratch;
    leat_status *status;
} leat_init_job;

/* How a parameter starts. fill writes all of `t`; a and b are the initialiser's own numbers. One that does not suit
 * every shape, or needs memory, has try_fill in fill's place; when it fails, so does the model, with the status. */
typedef struct leat_init {
    void (*fill)(leat_rng *rng, leat_tensor t, double a, double b);
    double a, b;
    leat_code (*try_fill)(leat_init_job *job, leat_tensor t, double a, double b);
    const double *values; /* of leat_init_values, which has neither function */
} leat_init;

LEAT_API leat_init leat_init_zeros(void);
LEAT_API leat_init leat_init_constant(double value);
LEAT_API leat_init leat_init_uniform(double low, double high);
LEAT_API leat_init leat_init_normal(double mean, double sd);
LEAT_API leat_init leat_init_values(const double *values); /* these, which must last until the model is sealed */

/* Xavier (Glorot & Bengio 2010) and Kaiming (He et al. 2015), PyTorch's: fan_in is the product of all sizes but the
 * first, fan_out of all but the second; a parameter of fewer than two axes is LEAT_ESHAPE. Xavier: variance
 * 2 gain^2 / (fan_in + fan_out). Kaiming: variance gain^2 / fan. For ReLU the gain is sqrt(2), for tanh 5/3, for none
 * 1; for leaky ReLU of slope a, sqrt(2 / (1 + a^2)). */
typedef enum leat_fan { LEAT_FAN_IN = 0, LEAT_FAN_OUT } leat_fan;
LEAT_API leat_init leat_init_xavier_uniform(double gain);
LEAT_API leat_init leat_init_xavier_normal(double gain);
LEAT_API leat_init leat_init_kaiming_uniform(double gain, leat_fan fan);
LEAT_API leat_init leat_init_kaiming_normal(double gain, leat_fan fan);
/* A matrix [rows, everything else] with orthonormal rows or columns, whichever are fewer, times gain: QR of a normal
 * one, signs chosen so that it is uniform (Saxe et al. 2014). */
LEAT_API leat_init leat_init_orthogonal(double gain);

typedef struct leat_param {
    leat_leaf leaf; /* name, shape; values and gradients once the model is sealed */
    leat_init init;
    leat_model *model;
    struct leat_param *next, *next_own; /* in order of creation: of the model's, and of its owner's */
    int64_t offset;                     /* in the model's flat arrays */
    int index;
} leat_param;

/* State that is saved but not trained, such as a mask. */
typedef struct leat_buffer {
    const char *name;
    leat_tensor value;
    double *doubles; /* the same numbers in double, as which the file has them; NULL: as `value` */
    struct leat_buffer *next_own;
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

typedef struct leat_part_writer leat_part_writer;
typedef struct leat_part_reader leat_part_reader;
typedef struct leat_json leat_json;

typedef struct leat_module_type {
    const char *name;
    /* x and an optional context, absent ({0}) for most; NULL for modules that are no functions */
    leat_var (*forward)(leat_module *m, leat_var x, leat_var context);
    /* reports parameters, buffers and children by leat_visit_param, leat_visit_buffer, leat_visit; NULL: those that were
     * made for it and attached to it, in that order */
    void (*visit)(leat_module *m, leat_visitor *v);
    /* after new values were loaded: rebuilds what derives from buffers, refuses what makes no sense; may be NULL */
    leat_code (*loaded)(leat_module *m, leat_status *s);
    /* a few words for leat_summary: "2 -> 128"; may be NULL */
    void (*describe)(const leat_module *m, char *text, size_t size);
    /* for files that describe themselves (parts.h): the options that rebuild the module, and the module
     * from them; NULL: such files refuse it */
    void (*write)(const leat_module *m, leat_part_writer *w);
    leat_module *(*read)(leat_part_reader *r, const leat_json *v);
} leat_module_type;

/* First member of every module. Zeroed memory from the model's arena, then leat_module_init. */
struct leat_module {
    leat_scope scope; /* its name under its parent */
    const leat_module_type *type;
    leat_model *model;
    leat_module *parent, *next; /* next: of all the model's modules, in order of creation */
    /* what it has, first and last */
    leat_param *params, *last_param;
    leat_buffer *buffers, *last_buffer;
    leat_module *children, *last_child, *next_sibling;
};

/* size bytes for a struct that begins with a leat_module, initialised; NULL (and a failed model) when out of memory. */
LEAT_API void *leat_module_new(leat_model *m, const leat_module_type *type, size_t size);

/* Names the child and makes it part of the parent. A child that has a parent already is LEAT_ESTATE. NULLs fail the
 * model. */
LEAT_API void leat_attach(leat_module *parent, leat_module *child, const char *format, ...) LEAT_PRINTF(3, 4);

LEAT_API leat_param *leat_param_new(leat_module *owner, const char *name, leat_shape shape, leat_init init);
LEAT_API leat_buffer *leat_buffer_new(leat_module *owner, const char *name, leat_shape shape); /* zeros */
LEAT_API leat_buffer *leat_buffer_new_doubles(leat_module *owner, const char *name, leat_shape shape);

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

/* Children one after the other, named "0", "1", ..., the activations counted as in PyTorch. A linear layer of any kind,
 * or a convolution, and the activation behind it run as one op. A context is joined to x along the last axis first. */
LEAT_API leat_module *leat_sequential(leat_model *m);
LEAT_API void leat_sequential_add(leat_module *sequential, leat_module *child);

/* linear, activation, linear, activation, ..., linear; hidden widths end with 0 or after LEAT_MAX_HIDDEN, and may be
 * none: { 0 } or NULL. */
#define LEAT_MAX_HIDDEN 32
#define LEAT_MAX_GROUPS 8
LEAT_API leat_module *leat_mlp(leat_model *m, int64_t in, const int64_t *hidden, int64_t out, leat_activation f);

/* A linear layer whose weight is multiplied by the buffer `mask` [out, in], zeros and ones, at first zeros:
 * leat_linear_mask gives it to be filled in (data NULL if the layer could not be built). */
LEAT_API leat_module *leat_masked_linear(leat_model *m, int64_t in, int64_t out);
LEAT_API leat_tensor leat_linear_mask(const leat_module *linear);

/* x in training and evaluation alike. */
LEAT_API leat_module *leat_identity_layer(leat_model *m);
LEAT_API leat_module *leat_dropout_layer(leat_model *m, double p); /* leat_dropout, 0 <= p <= 1 */

/* A table `weight` [count, features], N(0, 1) at first: x of whole numbers 0 .. count-1, [..] -> [.., features]. Any
 * other number is LEAT_EARG. x gets no gradient. */
LEAT_API leat_module *leat_embedding(leat_model *m, int64_t count, int64_t features);

typedef struct leat_norm_opts {
    double eps;      /* 0: 1e-5 */
    double momentum; /* of batch norm's running statistics, 0: 0.1; at most 1 */
    bool no_affine;  /* without weight and bias */
} leat_norm_opts;

/* (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, of `features` >= 1 (Ba et al. 2016); weight
 * starts as ones, bias as zeros; options may be NULL. PyTorch: nn.LayerNorm(features). */
LEAT_API leat_module *leat_layer_norm(leat_model *m, int64_t features, const leat_norm_opts *o);
/* The same over all axes but the last (Ioffe & Szegedy 2015); PyTorch: nn.BatchNorm1d, features last. In training mode
 * by the batch's own mean and variance (sum (x - mean)^2 / count), which also move the buffers, running += momentum
 * (of the batch - running), once for each forward pass: running_mean, running_var (of the batch: sum / (count - 1)) and
 * num_batches_tracked, a count. A batch whose statistics are not finite leaves them as they were. In evaluation mode by
 * running_mean and running_var, and nothing moves. Training on a batch of one row, or none, is LEAT_ESHAPE. */
LEAT_API leat_module *leat_batch_norm(leat_model *m, int64_t features, const leat_norm_opts *o);

/* weight = weight_g * weight_v / |weight_v|, norms of rows, for a linear layer of its own (Salimans & Kingma 2016);
 * parameters weight_g [out, 1], weight_v [out, in], bias [out], as PyTorch's weight_norm(nn.Linear(in, out)). weight_g
 * starts as the norms of weight_v, whatever initialiser that has. in is at least 1. */
LEAT_API leat_module *leat_weight_norm_linear(leat_model *m, int64_t in, int64_t out);

/* Self-attention, [batch, length, features] -> the same (Vaswani et al. 2017): PyTorch's nn.MultiheadAttention(features,
 * heads, batch_first=True) on q = k = v = x; parameters in_proj_weight [3 features, features], in_proj_bias,
 * out_proj.weight, out_proj.bias; in_proj_weight starts by Xavier, biases as zeros. heads divides features. With
 * `causal`, place i sees places up to i: its gradient to later ones is exactly 0. */
typedef struct leat_attention_opts {
    int64_t features;
    int heads; /* 0: 1 */
    bool causal;
    double dropout; /* of the attention weights */
} leat_attention_opts;
LEAT_API leat_module *leat_attention(leat_model *m, const leat_attention_opts *o);

/* The residual network of nflows: initial_layer; for each block x + linear(act(linear(act(x)))), with batch norm (eps
 * 1e-3) before the activations and dropout before the second linear layer if asked for; final_layer. The second layer
 * of a block starts at U(-1e-3, 1e-3). A context is joined to x for initial_layer, and gates each block's outcome:
 * outcome * sigmoid(context_layer(context)). It must come if, and only if, `context` is not 0. Names are nflows'
 * ResidualNet's: initial_layer, blocks.N.linear_layers.0 and .1, blocks.N.batch_norm_layers.0 and .1,
 * blocks.N.context_layer, final_layer. */
typedef struct leat_residual_opts {
    int64_t in, hidden, out, context; /* context: features of it, 0 for none */
    int blocks;                       /* 0: 2 */
    leat_activation activation;       /* LEAT_IDENTITY (0): ReLU */
    double dropout;
    bool batch_norm;
} leat_residual_opts;
LEAT_API leat_module *leat_residual_mlp(leat_model *m, const leat_residual_opts *o);

/*
 * MADE (Germain et al. 2015): an MLP [batch, features] -> [batch, features * (sum of widths)], of which what belongs to
 * feature j depends on the features before j in `order` alone, and on the context, which all may see. The columns are
 * those that couplings read: the groups one after the other, and in a group of width w, columns j w .. j w + w - 1 for
 * feature j. Linear layers whose weights are multiplied by masks (buffers `mask`, from degrees); linear, activation,
 * ..., as in a sequential: net.0.weight, net.0.bias, net.0.mask, ... A feature's degree is its place in the order, from
 * 1 on. Hidden units have degrees 1 .. features-1 in turn; with a context (or one feature) 0 .. features-1, and those
 * of degree 0 see the context alone: without them the first output of the order could not depend on it. So layers at
 * least features - 1 wide, with a context features, let everything through that may pass. The context must come if, and
 * only if, `context` is not 0. A file's masks may be others, of zeros and ones, as long as no output sees its own
 * feature or a later one.
 *
 * With blocks it is residual, like nflows' MADE: initial_layer; for each block x + linear(act(linear(act(x)))); final_layer.
 * The weights and biases that end a block start at U(-1e-3, 1e-3). Names are nflows', initial_layer.weight,
 * blocks.N.linear_layers.0.weight and so on, and final_layer.weight, each with a mask; a context is joined to x.
 */
typedef struct leat_made_opts {
    int64_t features, context;
    int64_t widths[LEAT_MAX_GROUPS]; /* numbers of each group for a feature; they end with 0; none: one group of 1 */
    int64_t hidden[LEAT_MAX_HIDDEN];
    int blocks;                 /* above 0, to 15: residual, see above; all hidden layers are as wide as the first */
    const int64_t *order;       /* order[j]: the place of feature j, a permutation of 0 ..; NULL: 0, 1, 2, ... */
    leat_activation activation; /* LEAT_IDENTITY (0): ReLU */
} leat_made_opts;
LEAT_API leat_module *leat_made(leat_model *m, const leat_made_opts *o);
LEAT_API const leat_made_opts *leat_made_options(const leat_module *m); /* the order filled in; NULL: m is no MADE */

/* The x [batch, features] whose features are x_j = step(y_j, columns): of y [batch, features] the feature y_j [batch, 1],
 * and what the net gives of x for feature j, [batch, sum of widths], in its groups' order. One feature after the other,
 * in the order, since columns depend on what comes before. Every hidden unit is computed once, so that all of it costs
 * one forward pass; but while recording it is a forward pass for each feature, to the same bits. *carried is the
 * caller's own, for step to replace, such as a sum over features; of what else step makes nothing stays. */
typedef leat_var leat_made_step(void *user, leat_var y, leat_var columns, leat_var *carried);
LEAT_API leat_var leat_made_ancestral(leat_module *made, leat_var y, leat_var context, leat_made_step *step, void *user,
                                      leat_var *carried);

/* ---- optimisers -------------------------------------------------------------------------------------------------- */

/*
 *     leat_optim *optim = leat_adam_new(model, &(leat_adam_opts){ .lr = 1e-3 });
 *     ... leat_backward(loss) ... leat_optim_step(optim)
 *
 * A step updates every parameter that has a gradient and is not frozen, and empties all gradients. If a gradient is not
 * finite the step is not taken: LEAT_ENONFINITE on the status of the optimiser, naming the parameter; the weights are
 * as they were, and the gradients are emptied all the same. The status is that of the last step. An optimiser that is
 * NULL, because it could not be built, answers LEAT_ESTATE. The arithmetic is PyTorch's; options may be NULL, and a 0
 * stands for PyTorch's default (of lr: 1e-3 for all).
 */
typedef struct leat_optim leat_optim;

LEAT_API leat_code leat_optim_step(leat_optim *o);
LEAT_API const leat_status *leat_optim_status(const leat_optim *o);
LEAT_API void leat_optim_set_lr(leat_optim *o, double lr); /* for all that has no group of its own */
LEAT_API double leat_optim_lr(const leat_optim *o);
/* Multiplies every learning rate, groups' too; 1 at first. What schedules set. A learning rate or factor that is
 * negative or not finite is refused by the step, LEAT_EARG, and the gradients stay. */
LEAT_API void leat_optim_set_factor(leat_optim *o, double factor);

/* Own numbers for the parameters below a module, as PyTorch's parameter groups; the last call for a parameter counts,
 * NULL takes its own numbers away. Numbers that make no sense are LEAT_EARG on the model. */
typedef struct leat_group {
    double lr;           /* 0: the optimiser's */
    double weight_decay; /* 0: the optimiser's; below 0: none */
} leat_group;
LEAT_API void leat_optim_set_group(leat_optim *o, leat_module *part, const leat_group *g);

typedef struct leat_sgd_opts {
    double lr;
    double weight_decay; /* L2, added to the gradient */
    double momentum;
    bool nesterov; /* needs a momentum */
} leat_sgd_opts;
LEAT_API leat_optim *leat_sgd_new(leat_model *m, const leat_sgd_opts *o);

/* Kingma & Ba, "Adam: a method for stochastic optimization", 2015. AdamW: Loshchilov & Hutter, "Decoupled weight decay
 * regularization", 2019. AdaMax: Adam's paper, section 7.1 (lr 0: 2e-3). */
typedef struct leat_adam_opts {
    double lr;
    double beta1, beta2; /* below 1; 0: 0.9, 0.999 */
    double eps;          /* 0: 1e-8 */
    double weight_decay; /* Adam, AdaMax: L2, added to the gradient; AdamW: p -= lr weight_decay p (no default here) */
} leat_adam_opts;
LEAT_API leat_optim *leat_adam_new(leat_model *m, const leat_adam_opts *o);
LEAT_API leat_optim *leat_adamw_new(leat_model *m, const leat_adam_opts *o);
LEAT_API leat_optim *leat_adamax_new(leat_model *m, const leat_adam_opts *o);

/* Tieleman & Hinton 2012, with PyTorch's order: g / (sqrt(mean square) + eps). */
typedef struct leat_rmsprop_opts {
    double lr;    /* 0: 1e-2 */
    double alpha; /* of the mean square, below 1; 0: 0.99 */
    double eps;   /* 0: 1e-8 */
    double weight_decay, momentum;
    bool centered;
} leat_rmsprop_opts;
LEAT_API leat_optim *leat_rmsprop_new(leat_model *m, const leat_rmsprop_opts *o);

/* What an optimiser remembers, to be saved and restored: a flat array for each kind of moment under PyTorch's name, and
 * each parameter's count of steps. Restoring writes into the tensors and sets the counts; what follows has the bits of
 * an optimiser that never stopped. The arrays are laid out like the parameters, in order of creation, each at the next
 * multiple of 16 numbers (a parameter's place is its `offset`). Learning rates, factor and groups are the program's to
 * set again. There is no slot i: an absent tensor and name; `name` may be NULL. A negative count is LEAT_EARG on the
 * model. */
LEAT_API int leat_optim_slots(const leat_optim *o);
LEAT_API leat_tensor leat_optim_slot(const leat_optim *o, int i, const char **name); /* [numbers]: "exp_avg", ... */
LEAT_API int64_t leat_optim_steps(const leat_optim *o, const leat_param *p);
LEAT_API void leat_optim_set_steps(leat_optim *o, const leat_param *p, int64_t steps);

/* ---- schedules --------------------------------------------------------------------------------------------------- */

/*
 * A factor of the learning rate as a function of the step (or the epoch) alone, counted from 0, so that nothing needs to
 * be saved: leat_optim_set_factor(optim, leat_schedule_at(&schedule, step)).
 *
 *     static const leat_schedule warm = { LEAT_WARMUP, .steps = 500 }, cool = { LEAT_COSINE, .steps = 9500 };
 *     static const leat_schedule both = { LEAT_THEN, .first = &warm, .second = &cool, .steps = 500 };
 */
typedef enum leat_schedule_kind {
    LEAT_CONSTANT = 0, /* 1 */
    LEAT_WARMUP,       /* from `value` (0 counts) to 1 in a line over `steps`, then 1 (PyTorch: LinearLR) */
    LEAT_COSINE,       /* from 1 to `value` over `steps`, then `value` (CosineAnnealingLR, eta_min = value lr) */
    LEAT_STEP,         /* value^floor(step / steps) (StepLR) */
    LEAT_EXPONENTIAL,  /* value^step (ExponentialLR) */
    LEAT_THEN,         /* first, and from `steps` on second, counted from there (SequentialLR) */
    LEAT_TIMES,        /* the product of both (ChainedScheduler) */
} leat_schedule_kind;

/* Powers are by repeated squaring. Of `steps` below 1, LEAT_WARMUP, LEAT_COSINE and LEAT_THEN are at their ends at once,
 * and LEAT_STEP takes 1. A step below 0 is 0. */

typedef struct leat_schedule {
    leat_schedule_kind kind;
    int64_t steps;
    double value;
    const struct leat_schedule *first, *second;
} leat_schedule;

LEAT_API double leat_schedule_at(const leat_schedule *s, int64_t step); /* NULL: 1 */

/* ---- averages of weights ----------------------------------------------------------------------------------------- */

/* The exponential moving average of all parameters, average += (1 - decay) (p - average), beginning with the values at
 * creation; decay is in 0 .. 1. swap exchanges parameters and average: once to evaluate with the average, once more to
 * go on; an update between the two is LEAT_ESTATE on the model. */
typedef struct leat_ema leat_ema;
LEAT_API leat_ema *leat_ema_new(leat_model *m, double decay);
LEAT_API void leat_ema_set_decay(leat_ema *e, double decay); /* for the updates to come */
LEAT_API void leat_ema_update(leat_ema *e);
LEAT_API void leat_ema_swap(leat_ema *e);
/* The average, flat as an optimiser's slots are, to be saved and restored; the parameters while they are swapped. */
LEAT_API leat_tensor leat_ema_values(const leat_ema *e);

/* ---- gradients as a whole ---------------------------------------------------------------------------------------- */

/* The 2-norm of all gradients together, accumulated in double; if it is above `most`, gradients are scaled by
 * most / (norm + 1e-6). Returns the norm before. */
LEAT_API double leat_clip_grad_norm(leat_model *m, double most);
/* Every number into -most .. most, infinities too; NaN stays. A negative bound is LEAT_EARG on the model. */
LEAT_API void leat_clip_grad_value(leat_model *m, double most);
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
/* Goes to a batch (from 0) of an epoch (from 0), as if all before it had been asked for: to go on where a run stopped. */
LEAT_API void leat_batches_seek(leat_batches *b, int64_t epoch, int64_t batch);
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

#include "images.h"
#include "parts.h"

#endif
