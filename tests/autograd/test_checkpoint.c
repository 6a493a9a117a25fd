/* Checkpoints: the bits of a direct call, less memory, and everything that a block may have inside. */
#include "support.h"

TestSuite(checkpoint, .init = setup, .fini = teardown);

/* ---- a model of two layers, whose parameters several blocks may share -------------------------------------------- */

enum { ROWS = 7, WIDTH = 5 };

typedef struct layer {
    leat_leaf w, bias;
    leat_real numbers[2][WIDTH * WIDTH], grads[2][WIDTH * WIDTH];
    double dropout;
    leat_scope place;
} layer;

static layer *layer_new(int seed, double dropout)
{
    static layer layers[8];
    layer *l = &layers[seed];
    leat_rng rng = leat_rng_new((uint64_t)seed, 5);
    leat_rng_fill_normal(&rng, l->numbers[0], WIDTH * WIDTH);
    leat_rng_fill_normal(&rng, l->numbers[1], WIDTH);
    l->place = (leat_scope){ "layers.3", NULL };
    l->w = (leat_leaf){ .scope = { "w", &l->place }, .shape = LEAT_SHAPE(WIDTH, WIDTH) };
    l->bias = (leat_leaf){ .scope = { "bias", &l->place }, .shape = LEAT_SHAPE(WIDTH) };
    l->w.value = l->numbers[0];
    l->bias.value = l->numbers[1];
    l->w.grad = l->grads[0];
    l->bias.grad = l->grads[1];
    l->dropout = dropout;
    return l;
}

/* x is used twice, the weight three times; so the order in which gradients add up shows. */
static leat_var layer_run(leat_tape *t, layer *l, leat_var x)
{
    const leat_scope *was = leat_tape_enter(t, &l->place);
    leat_var h = leat_linear(x, leat_leaf_var(t, &l->w), leat_leaf_var(t, &l->bias), LEAT_TANH);
    h = leat_dropout(leat_matmul(h, leat_leaf_var(t, &l->w)), l->dropout);
    h = leat_add(leat_mul(h, x), leat_linear(h, leat_leaf_var(t, &l->w), (leat_var){ 0 }, LEAT_SIGMOID));
    leat_tape_enter(t, was);
    return h;
}

static void one_layer(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    out[0] = layer_run(t, user, in[0]);
}

static leat_var checked(layer *l, leat_var x)
{
    leat_var y;
    leat_checkpoint(tape, one_layer, l, 1, &x, 1, &y);
    return y;
}

/* The layers in list order, each a block of its own. */
static void nest(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    layer **list = user;
    out[0] = in[0];
    for (int i = 0; list[i]; i++)
        leat_checkpoint(t, one_layer, list[i], 1, out, 1, out);
}

static leat_real *numbers(int n)
{
    static leat_real x[ROWS * WIDTH];
    leat_rng rng = leat_rng_new(11, 1);
    leat_rng_fill_normal(&rng, x, n);
    return x;
}

typedef enum way { DIRECT, EACH, NESTED } way;

typedef struct outcome {
    leat_real loss, x[ROWS * WIDTH], w[2][2][WIDTH * WIDTH];
    leat_rng rng;
    int64_t nodes;
} outcome;

/* x, layers a, b, a again; x and a's weight are also used before, between and after. */
static outcome step(way how, double dropout, bool frozen)
{
    layer *a = layer_new(0, dropout), *b = layer_new(1, dropout), *list[] = { a, b, a, NULL };
    a->w.has_grad = a->bias.has_grad = b->w.has_grad = b->bias.has_grad = false;
    a->w.frozen = a->bias.frozen = frozen;
    leat_tape_reset(tape);
    *leat_tape_rng(tape) = leat_rng_new(3, 4);
    leat_var x = leat_input(tape, (leat_tensor){ numbers(ROWS * WIDTH), LEAT_SHAPE(ROWS, WIDTH) });
    leat_var h = leat_matmul(x, leat_leaf_var(tape, &a->w));
    if (how == NESTED)
        leat_checkpoint(tape, nest, list, 1, &h, 1, &h);
    for (int i = 0; list[i] && how != NESTED; i++)
        h = how == EACH ? checked(list[i], h) : layer_run(tape, list[i], h);
    h = leat_mul(leat_dropout(h, dropout), leat_matmul(x, leat_leaf_var(tape, &a->w)));
    leat_var loss = leat_mean(leat_square(h));
    outcome o = { .nodes = leat_tape_get_stats(tape).nodes };
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_tape_get_stats(tape).nodes, o.nodes);
    cr_assert_not(leat_tape_recomputing(tape));
    o.loss = (leat_real)leat_item(loss);
    o.rng = *leat_tape_rng(tape);
    memcpy(o.x, leat_grad(x).data, sizeof o.x);
    cr_assert_eq(a->w.has_grad, !frozen);
    cr_assert(b->w.has_grad && b->bias.has_grad);
    if (!frozen)
        memcpy(o.w[0], a->grads, sizeof a->grads);
    memcpy(o.w[1], b->grads, sizeof b->grads);
    return o;
}

static void assert_same_bits(const outcome *a, const outcome *b)
{
    cr_assert_eq(a->loss, b->loss);
    cr_assert_eq(memcmp(&a->rng, &b->rng, sizeof a->rng), 0);
    cr_assert_eq(memcmp(a->x, b->x, sizeof a->x), 0, "the gradient of the input");
    cr_assert_eq(memcmp(a->w, b->w, sizeof a->w), 0, "the gradients of the parameters");
}

Test(checkpoint, gradients_have_the_bits_of_a_direct_call)
{
    for (int frozen = 0; frozen < 2; frozen++) {
        outcome direct = step(DIRECT, 0, frozen);
        for (way how = EACH; how <= NESTED; how++) {
            outcome o = step(how, 0, frozen);
            assert_same_bits(&o, &direct);
            cr_assert_lt(o.nodes, direct.nodes);
        }
    }
}

Test(checkpoint, dropout_drops_the_same_elements)
{
    outcome direct = step(DIRECT, 0.4, false), without = step(DIRECT, 0, false);
    cr_assert_neq(direct.loss, without.loss);
    cr_assert_neq(direct.rng.position, 0);
    for (way how = EACH; how <= NESTED; how++) {
        outcome o = step(how, 0.4, false);
        assert_same_bits(&o, &direct);
    }
}

/* Training mode and place, too, are those of the first run, whatever they are during backward. */
Test(checkpoint, runs_again_as_it_ran_first)
{
    layer *l = layer_new(0, 0.5);
    leat_var x = leat_input(tape, (leat_tensor){ numbers(ROWS * WIDTH), LEAT_SHAPE(ROWS, WIDTH) });
    leat_tape_set_training(tape, false);
    leat_var loss = leat_sum(checked(l, x));
    leat_tape_set_training(tape, true);
    leat_tape_set_recording(tape, false);
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert(leat_tape_training(tape));
    cr_assert_not(leat_tape_recording(tape));
    cr_assert_eq(leat_tape_rng(tape)->position, 0);
}

Test(checkpoint, can_be_walked_again_and_cleared)
{
    layer *l = layer_new(0, 0);
    leat_var x = leat_input(tape, (leat_tensor){ numbers(ROWS * WIDTH), LEAT_SHAPE(ROWS, WIDTH) });
    leat_var y = x;
    leat_checkpoint(tape, nest, (layer *[]){ l, NULL }, 1, &y, 1, &y);
    leat_var loss = leat_sum(y);
    leat_real once[WIDTH * WIDTH];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
        if (i == 0)
            memcpy(once, l->grads[0], sizeof once);
        cr_assert_eq(memcmp(once, l->grads[0], sizeof once), 0);
        leat_clear_grads(tape);
        cr_assert_not(l->w.has_grad, "a leaf that is used in blocks alone");
        cr_assert_null(leat_grad(x).data);
    }
}

/* ---- results of every kind --------------------------------------------------------------------------------------- */

typedef struct odd {
    leat_var outside;
    leat_leaf *leaf;
} odd;

static void odd_results(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    const odd *o = user;
    leat_var y = leat_square(in[0]);
    out[0] = in[0];                                 /* an input */
    out[1] = o->outside;                            /* from before */
    out[2] = y;                                     /* a result, */
    out[3] = y;                                     /* twice */
    out[4] = leat_zeros(t, LEAT_SHAPE(3));          /* zeros without storage */
    out[5] = leat_scalar(t, 7);                     /* a constant */
    out[6] = leat_reshape(in[0], LEAT_SHAPE(1, 3)); /* a view of an input */
    out[7] = leat_leaf_var(t, o->leaf);             /* a parameter */
    /* out[8] stays absent */
    cr_assert(leat_is_absent(in[1]));
}

Test(checkpoint, results_of_every_kind)
{
    leat_real three[3] = { 1, 2, 3 }, w[3] = { 5, 6, 7 }, grad[3];
    leat_leaf leaf = { .shape = LEAT_SHAPE(3), .value = w, .grad = grad };
    leat_var x = leat_input(tape, (leat_tensor){ three, LEAT_SHAPE(3) }), out[9];
    odd o = { leat_exp(x), &leaf };
    leat_var in[2] = { x };
    cr_assert_eq(leat_checkpoint(tape, odd_results, &o, 2, in, 9, out), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(out[0].id, x.id);
    cr_assert_eq(out[1].id, o.outside.id);
    cr_assert_eq(out[2].id, out[3].id);
    cr_assert(leat_is_zeros(out[4]));
    cr_assert_eq(leat_item(out[5]), 7);
    cr_assert(leat_is_absent(out[8]));
    leat_var sum = leat_mul(leat_add(out[2], out[3]), leat_reshape(out[6], LEAT_SHAPE(3)));
    sum = leat_add(leat_add(sum, out[0]), leat_mul(out[7], out[7]));
    cr_assert_eq(leat_backward(leat_sum(leat_add(leat_mul(sum, out[5]), out[4]))), LEAT_OK, "%s",
                 leat_tape_errmsg(tape));
    for (int i = 0; i < 3; i++) { /* 7 (2 x^3 + x + w^2) */
        cr_assert_eq(leat_grad(x).data[i], 7 * (6 * three[i] * three[i] + 1));
        cr_assert_eq(grad[i], 14 * w[i]);
    }
}

static void two_results(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    (void)t;
    (void)user;
    out[0] = leat_square(in[0]);
    out[1] = leat_exp(in[1]);
}

/* Of two results one is used: the other's input gets no gradient at all, as without a checkpoint. */
Test(checkpoint, a_result_that_is_not_used)
{
    leat_real one[1] = { 3 };
    leat_var in[2], out[2];
    for (int i = 0; i < 2; i++)
        in[i] = leat_input(tape, (leat_tensor){ one, LEAT_SHAPE(1) });
    leat_checkpoint(tape, two_results, NULL, 2, in, 2, out);
    cr_assert_eq(leat_backward(out[0]), LEAT_OK);
    cr_assert_eq(leat_grad(in[0]).data[0], 6);
    cr_assert_null(leat_grad(in[1]).data);
}

Test(checkpoint, without_recording_memory_is_given_back)
{
    layer *l = layer_new(0, 0);
    leat_tape_set_recording(tape, false);
    leat_var x = leat_const(tape, (leat_tensor){ numbers(ROWS * WIDTH), LEAT_SHAPE(ROWS, WIDTH) });
    leat_var direct = layer_run(tape, l, x), y = checked(l, x);
    cr_assert_eq(memcmp(data(y), data(direct), ROWS * WIDTH * sizeof(leat_real)), 0);
    int64_t nodes = leat_tape_get_stats(tape).nodes;
    for (int i = 0; i < 3; i++)
        y = checked(l, x);
    cr_assert_eq(leat_tape_get_stats(tape).nodes, nodes + 3);
}

/* Nothing in the block wants a gradient: its result is a constant. */
Test(checkpoint, nothing_to_be_learned)
{
    leat_real x[3] = { 1, 2, 3 };
    leat_var in[2] = { leat_const(tape, (leat_tensor){ x, LEAT_SHAPE(3) }), leat_scalar(tape, 1) }, out[2];
    leat_checkpoint(tape, two_results, NULL, 2, in, 2, out);
    cr_assert_eq(leat_backward(leat_sum(out[0])), LEAT_OK);
    cr_assert_eq(leat_item(leat_sum(out[0])), 14);
}

/* Zeros from before get their storage inside a block, and another one when they need it again. */
static void uses_zeros(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    (void)user;
    leat_randn(t, LEAT_SHAPE(100)); /* so that the zeros' storage is not at the block's very beginning */
    out[0] = leat_mul(in[0], leat_exp(in[1]));
}

Test(checkpoint, zeros_outlive_the_block)
{
    leat_real x[3] = { 1, 2, 3 };
    leat_var in[2] = { leat_input(tape, (leat_tensor){ x, LEAT_SHAPE(3) }), leat_zeros(tape, LEAT_SHAPE(3)) }, y;
    leat_var stored = leat_zeros(tape, LEAT_SHAPE(3));
    leat_var before = leat_mul(leat_exp(stored), in[0]), nothing = leat_mul(stored, in[0]);
    leat_checkpoint(tape, uses_zeros, NULL, 2, in, 1, &y);
    leat_randn(tape, LEAT_SHAPE(1000));
    assert_equal(data(in[1]), NUMBERS(0, 0, 0), 3);
    leat_var sum = leat_add(leat_mul(y, leat_exp(in[1])), leat_mul(in[0], in[1]));
    sum = leat_add(leat_add(sum, before), nothing);
    cr_assert_eq(leat_backward(leat_sum(sum)), LEAT_OK, "%s", leat_tape_errmsg(tape));
    assert_equal(leat_grad(in[0]).data, NUMBERS(2, 2, 2), 3);
    assert_equal(data(in[1]), NUMBERS(0, 0, 0), 3);
    assert_equal(data(stored), NUMBERS(0, 0, 0), 3);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static size_t peak_of(int depth, bool blocks)
{
    layer *l = layer_new(0, 0);
    leat_tape *was = tape;
    tape = leat_tape_new(NULL);
    leat_var x = leat_input(tape, (leat_tensor){ numbers(ROWS * WIDTH), LEAT_SHAPE(ROWS, WIDTH) });
    size_t before = 0;
    for (int i = 0; i < depth; i++)
        x = blocks ? checked(l, x) : leat_tanh(layer_run(tape, l, x));
    before = leat_tape_get_stats(tape).bytes;
    leat_vjp(x, (leat_tensor){ numbers(ROWS * WIDTH), LEAT_SHAPE(ROWS, WIDTH) });
    cr_assert_eq(leat_tape_code(tape), LEAT_OK, "%s", leat_tape_errmsg(tape));
    size_t peak = blocks ? leat_tape_get_stats(tape).peak_bytes : leat_tape_get_stats(tape).bytes - before;
    leat_tape_free(tape);
    tape = was;
    return peak;
}

/* A block more costs its result (and where it came from), not what is inside. */
Test(checkpoint, memory_of_what_is_inside_does_not_add_up)
{
    size_t per_block = (peak_of(40, true) - peak_of(20, true)) / 20;
    cr_assert_lt(per_block, ROWS * WIDTH * sizeof(leat_real) + 900);
}

static void makes_an_input(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    (void)user;
    leat_real many[1000] = { 0 };
    out[0] = leat_add(in[0], leat_sum(leat_input(t, (leat_tensor){ many, LEAT_SHAPE(1000) })));
}

/* An input made inside has a gradient of its own, which goes with the block. */
Test(checkpoint, gradients_inside_are_given_back)
{
    leat_var x = leat_input(tape, (leat_tensor){ numbers(3), LEAT_SHAPE(3) });
    for (int i = 0; i < 20; i++)
        leat_checkpoint(tape, makes_an_input, NULL, 1, &x, 1, &x);
    size_t before = leat_tape_get_stats(tape).bytes;
    cr_assert_eq(leat_backward(leat_sum(x)), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_lt(leat_tape_get_stats(tape).bytes - before, 2 * 1000 * sizeof(leat_real));
}

/* And without blocks: gradients of activations die as backward passes them, so depth does not matter to them. */
Test(checkpoint, gradients_of_activations_are_freed)
{
    cr_assert_eq(peak_of(5, false), peak_of(50, false));
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

typedef struct trouble {
    int calls, fail_at;
    leat_scope place;
    double factor; /* other numbers in the second run */
    bool other_shape, log;
} trouble;

static void troubled(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    trouble *k = user;
    const leat_scope *was = leat_tape_enter(t, &k->place);
    bool second = ++k->calls > 1;
    out[0] = leat_mul_scalar(in[0], second ? 1 + k->factor : 1);
    if (k->calls == k->fail_at)
        out[0] = leat_add(out[0], leat_randn(t, LEAT_SHAPE(2, 7)));
    if (second && k->other_shape)
        out[0] = leat_reshape(out[0], LEAT_SHAPE(3, 1));
    if (k->log)
        out[0] = leat_tanh(leat_log(leat_sub(out[0], in[0])));
    leat_tape_enter(t, was);
}

/* Every failure: at the first run or the second; then no parameter has a gradient. */
static void assert_trouble(trouble k, leat_code code, const char *message)
{
    k.place = (leat_scope){ "layers.5.net", NULL };
    layer *l = layer_new(2, 0);
    l->w.has_grad = l->bias.has_grad = false;
    leat_real three[3] = { 1, 2, 3 };
    leat_tape_reset(tape);
    leat_var x = leat_input(tape, (leat_tensor){ three, LEAT_SHAPE(3) }), y;
    leat_checkpoint(tape, troubled, &k, 1, &x, 1, &y);
    leat_var h = leat_pad(y, 0, 0, WIDTH - 3, 0);
    leat_checkpoint(tape, nest, (layer *[]){ l, l, NULL }, 1, &h, 1, &h);
    leat_code got = leat_backward(leat_sum(h));
    cr_assert_eq(got, code, "%s", leat_tape_errmsg(tape));
    cr_assert_not_null(strstr(leat_tape_errmsg(tape), message), "\"%s\", not \"%s\"", leat_tape_errmsg(tape), message);
    cr_assert_eq(l->w.has_grad, code == LEAT_OK);
    cr_assert_not(leat_tape_recomputing(tape));
    cr_assert(leat_tape_recording(tape));
}

Test(checkpoint, errors_name_the_place)
{
    assert_trouble((trouble){ 0 }, LEAT_OK, "");
    assert_trouble((trouble){ .fail_at = 1 }, LEAT_ESHAPE, "layers.5.net: add [3] x [2,7]");
    assert_trouble((trouble){ .fail_at = 2 }, LEAT_ESHAPE, "layers.5.net: add [3] x [2,7]");
    assert_trouble((trouble){ .other_shape = true }, LEAT_ESTATE, "recomputing gave [3,1], and [3] the first time");
    assert_trouble((trouble){ .factor = (double)EPS }, LEAT_ESTATE, "recomputing [3] gave other numbers");
    /* tanh(-inf) is finite, and -1: the loss is not what fails */
    assert_trouble((trouble){ .log = true }, LEAT_OK, "");
}

static void fails_later(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    int *calls = user;
    out[0] = ++*calls > 1 ? leat_add(in[0], leat_randn(t, LEAT_SHAPE(2, 7))) : leat_square(in[0]);
}

/* The place is that in which the block was called, though it has been left long before backward. */
Test(checkpoint, errors_name_the_place_of_the_call)
{
    leat_scope place = { "layers.7", NULL };
    int calls = 0;
    leat_var x = leat_input(tape, (leat_tensor){ numbers(3), LEAT_SHAPE(3) }), y;
    leat_tape_enter(tape, &place);
    leat_checkpoint(tape, fails_later, &calls, 1, &x, 1, &y);
    leat_tape_enter(tape, NULL);
    cr_assert_eq(leat_backward(leat_sum(y)), LEAT_ESHAPE);
    cr_assert_eq(strncmp(leat_tape_errmsg(tape), "layers.7: add [3] x [2,7]", 25), 0, "%s", leat_tape_errmsg(tape));
}

static void blows_up(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    const leat_scope *was = leat_tape_enter(t, user);
    out[0] = leat_tanh(in[0]);
    out[1] = leat_square(leat_exp(leat_mul_scalar(in[0], 1e6)));
    leat_tape_enter(t, was);
}

static void blows_up_inside(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    leat_checkpoint(t, blows_up, user, 1, in, 2, out);
}

/* The first value that is not finite is found inside the block, also of a nested one. */
Test(checkpoint, values_that_are_not_finite_are_found_inside)
{
    leat_scope place = { "layers.1.net", NULL };
    leat_real one[1] = { 1 };
    leat_block *const blocks[] = { blows_up, blows_up_inside };
    for (int i = 0; i < 2; i++) {
        leat_tape_reset(tape);
        leat_var x = leat_input(tape, (leat_tensor){ one, LEAT_SHAPE(1) }), y[2];
        leat_checkpoint(tape, blocks[i], &place, 1, &x, 2, y);
        cr_assert_eq(leat_backward(leat_add(y[0], y[1])), LEAT_ENONFINITE);
        assert_refused((leat_var){ .tape = tape }, LEAT_ENONFINITE,
                       "layers.1.net: exp [1] is the first value that is not finite: inf");
    }
}

Test(checkpoint, a_failed_tape_and_a_stale_input)
{
    layer *l = layer_new(0, 0);
    leat_var x = leat_randn(tape, LEAT_SHAPE(2, WIDTH));
    leat_tape_reset(tape);
    assert_refused(checked(l, x), LEAT_ESTATE, "stale");
    leat_tape_fail(tape, LEAT_EARG, "before");
    assert_refused(checked(l, x), LEAT_EARG, "before");
}

/* ---- against differences ----------------------------------------------------------------------------------------- */

static leat_var checkpointed(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)user;
    leat_var h = leat_tanh(leat_mul(in[0], in[1])), out[2];
    leat_checkpoint(t, two_results, NULL, 2, (leat_var[]){ h, in[n - 1] }, 2, out);
    leat_checkpoint(t, two_results, NULL, 2, (leat_var[]){ leat_add(out[0], h), out[1] }, 2, out);
    return leat_mul(leat_add(out[0], out[1]), h);
}

Test(checkpoint, gradcheck)
{
    leat_real a[6] = { (leat_real)0.3, -1, (leat_real)0.5, (leat_real)0.7, -2, 1 }, b[3] = { 1, (leat_real)-0.5, 2 };
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(checkpointed, NULL, 2, (leat_tensor[]){ { a, LEAT_SHAPE(2, 3) }, { b, LEAT_SHAPE(3) } },
                             NULL, &r),
              "%s (%s): input %d at %d: %g, not %g", r.reason, r.status.message, r.input, (int)r.index, r.analytic,
              r.numeric);
}
