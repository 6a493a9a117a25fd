/* leat/autograd: ops of your own. Part of autograd.h, which includes it. */
#include "autograd.h" /* before the guard: what comes behind this in it needs what is here */

#ifndef LEAT_OP_H
#define LEAT_OP_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * An op is one const descriptor. The library's own are of the same kind, and every one is checked by leat_gradcheck_op.
 *
 *     static leat_code cube_shape(leat_call *c)    { c->out[0].shape = c->in[0].shape; return LEAT_OK; }
 *     static void      cube_forward(leat_call *c)  { for each i: c->out[0].data[i] = x * x * x; }
 *     static void      cube_backward(leat_call *c) { if (c->din[0].data) for each i: ...[i] = g * 3 * x * x; }
 *     static const leat_op cube = { .name = "cube", .inputs = 1, .outputs = 1, .shape = cube_shape,
 *                                   .forward = cube_forward, .backward = cube_backward };
 *     leat_var y = leat_apply(&cube, NULL, 0, 1, &x, NULL);
 */
#define LEAT_MAX_INPUTS  16
#define LEAT_MAX_OUTPUTS 4

typedef struct leat_op leat_op;

/* What the functions of an op see. Sizes and pointers are checked before they are called. */
typedef struct leat_call {
    leat_tape *tape;
    const leat_op *op;
    const void *attributes; /* the op's constants, as passed to leat_apply */
    int inputs;
    leat_tensor in[LEAT_MAX_INPUTS]; /* an absent input has data NULL */
    leat_tensor out[LEAT_MAX_OUTPUTS];
    leat_tensor dout[LEAT_MAX_OUTPUTS]; /* backward: gradients of the outputs, always there */
    leat_tensor din[LEAT_MAX_INPUTS]; /* backward: where to write the gradients of the inputs; data NULL: not wanted */
} leat_call;

typedef enum leat_op_flags {
    /* backward writes every din at the shape of out[0]; leat sums it down to the input's shape */
    LEAT_OP_BROADCAST = 1,
    /* out[0] shares the data of in[0]; there is no forward, and backward passes dout on */
    LEAT_OP_VIEW = 2,
} leat_op_flags;

/* Values that backward does without: bit i for input i, LEAT_UNREAD_OUT(i) for output i. The tape lets go of those that
 * no op reads (leat_tape_keep), and then backward finds other numbers there; shapes stay. */
enum { LEAT_UNREAD_INPUTS = 0xFFFF, LEAT_UNREAD_OUTPUTS = 0xF0000, LEAT_UNREAD_ALL = 0xFFFFF };
#define LEAT_UNREAD_OUT(i) (1U << (LEAT_MAX_INPUTS + (i)))

struct leat_case;

struct leat_op {
    const char *name;
    int inputs;        /* how many, or the least when `variadic` */
    int outputs;       /* 0 means 1 */
    bool variadic;     /* up to LEAT_MAX_INPUTS */
    unsigned flags;    /* leat_op_flags */
    unsigned optional; /* bit i: input i may be absent */
    unsigned no_grad;  /* bit i: input i never gets a gradient */
    unsigned unread;   /* what backward does without; 0: it may read everything */

    /* sets out[].shape from in[].shape; the only function that may refuse */
    leat_code (*shape)(leat_call *c);
    /* writes all of every out */
    void (*forward)(leat_call *c);
    /* writes all of every din that is wanted (overwrites: leat adds up); NULL: the op has no gradient */
    void (*backward)(leat_call *c);
    /* makes legal inputs number i for the gradient check; false: there is no such i */
    bool (*sample)(struct leat_case *k, int i);
};

/* Runs and records. `attributes` are copied (pointers in them must last as long as the step: leat_tape_alloc). `out`
 * receives all outputs, or is NULL; the first is returned. The tape is that of the inputs. */
LEAT_API leat_var leat_apply(const leat_op *op, const void *attributes, size_t attributes_size, int inputs,
                             const leat_var *in, leat_var *out);

/* Refusal from `shape`: "layers.3.net.2: matmul [256,64] x [128,128]: <reason>". Returns the code. */
LEAT_API leat_code leat_call_fail(leat_call *c, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);

/* Memory for the time of one forward or backward; NULL, and a failed tape, when there is none left. */
LEAT_API void *leat_call_scratch(leat_call *c, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
