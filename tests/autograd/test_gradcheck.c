/* The gradient checker itself: ops that are wrong, each in a way of its own, must be refused for the right reason. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "../../autograd/tape.h"

#include <math.h>
#include <string.h>

/* Wrong by a factor that the tolerances must just not let pass. */
#ifdef LEAT_DOUBLE
static const leat_real slightly = (leat_real)(1 + 1e-6);
#else
static const leat_real slightly = (leat_real)1.1;
#endif

/* y = x^3, and what may be wrong with it. */
typedef enum defect {
    NONE,
    SIGN,
    SCALE,
    NOT_A_NUMBER,
    INFINITE,
    ONE_ELEMENT,
    PART_UNWRITTEN,
    ADDS_ITSELF,
    VANISHES,
    DRIFTS,
    WRITES_INPUT,
    WRITES_PAST_FRAMEWORK,
    FORWARD_PART_UNWRITTEN,
} defect;

static leat_code cube_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return LEAT_OK;
}

static void cube_forward(leat_call *c)
{
    const defect d = *(const defect *)c->attributes;
    int64_t n = leat_shape_count(&c->out[0].shape);
    for (int64_t i = 0; i < n - (d == FORWARD_PART_UNWRITTEN); i++)
        c->out[0].data[i] = c->in[0].data[i] * c->in[0].data[i] * c->in[0].data[i];
}

static leat_real drift;

static void spoil(leat_call *c, defect d, int64_t n)
{
    leat_real *x = c->in[0].data, *dx = c->din[0].data;
    switch (d) {
    case NOT_A_NUMBER:
        dx[n / 2] = (leat_real)NAN;
        break;
    case INFINITE:
        dx[n - 1] = (leat_real)INFINITY;
        break;
    case ONE_ELEMENT:
        dx[n / 2] *= slightly;
        break;
    case WRITES_INPUT:
        x[0] += x[0] * (leat_real)(sizeof(leat_real) == 8 ? 1e-15 : 1e-6);
        break;
    case WRITES_PAST_FRAMEWORK:
        memcpy(leat_tape_node(c->tape, 1)->leaf->grad, dx, (size_t)n * sizeof *dx);
        memset(dx, 0, dx == leat_tape_node(c->tape, 1)->leaf->grad ? 0 : (size_t)n * sizeof *dx);
        break;
    default:
        break;
    }
}

static void cube_backward(leat_call *c)
{
    const defect d = *(const defect *)c->attributes;
    int64_t n = leat_shape_count(&c->out[0].shape);
    leat_real factor = d == SIGN ? -3 : d == SCALE ? 3 * slightly : d == VANISHES ? 0 : 3;
    if (d == DRIFTS)
        factor += drift += (leat_real)1e-6 * (leat_real)(sizeof(leat_real) == 8 ? 1e-6 : 1);
    if (d == FORWARD_PART_UNWRITTEN)
        c->din[0].data[--n] = 0; /* as if it were meant */
    for (int64_t i = 0; i < n - (d == PART_UNWRITTEN); i++) {
        leat_real dx = c->dout[0].data[i] * factor * c->in[0].data[i] * c->in[0].data[i];
        c->din[0].data[i] = d == ADDS_ITSELF ? c->din[0].data[i] + dx : dx;
    }
    spoil(c, d, n);
}

static const leat_op cube = {
    .name = "cube", .inputs = 1, .shape = cube_shape, .forward = cube_forward, .backward = cube_backward
};

/* It reads its input, whatever the one of these says, and not its output. */
static const leat_op misdeclared = { .name = "cube",
                                     .inputs = 1,
                                     .unread = LEAT_UNREAD_INPUTS,
                                     .shape = cube_shape,
                                     .forward = cube_forward,
                                     .backward = cube_backward },
                     declared = { .name = "cube",
                                  .inputs = 1,
                                  .unread = LEAT_UNREAD_OUTPUTS,
                                  .shape = cube_shape,
                                  .forward = cube_forward,
                                  .backward = cube_backward };

static leat_var apply_declared(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t;
    return leat_apply(user, &(defect){ NONE }, sizeof(defect), n, in, NULL);
}

static leat_var apply_cube(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n;
    return leat_apply(&cube, user, sizeof(defect), 1, in, NULL);
}

/* The same inside of other ops, where its gradient is not a leaf's. */
static leat_var apply_cube_inside(leat_tape *t, int n, const leat_var *in, void *user)
{
    leat_var x = leat_mul_scalar(in[0], 1.5);
    return leat_add(leat_tanh(apply_cube(t, n, &x, user)), x);
}

#define OTHER_FUNCTION "the gradient is not that of the function"

static const struct {
    defect d;
    const char *reason; /* "" if all is well */
    int64_t index;      /* of the worst element, or -1 */
} defects[] = {
    { NONE, "", -1 },
    { SIGN, OTHER_FUNCTION, -1 },
    { SCALE, OTHER_FUNCTION, -1 },
    { NOT_A_NUMBER, OTHER_FUNCTION, 3 },
    { INFINITE, OTHER_FUNCTION, 5 },
    { ONE_ELEMENT, OTHER_FUNCTION, 3 },
    { PART_UNWRITTEN, OTHER_FUNCTION, 5 },
    { ADDS_ITSELF, OTHER_FUNCTION, -1 },
    { VANISHES, OTHER_FUNCTION, -1 },
    { DRIFTS, "backward gives other numbers when repeated", -1 },
    { WRITES_INPUT, "an input was written to", -1 },
    { WRITES_PAST_FRAMEWORK, "the gradient is not added to what is there", -1 },
    { FORWARD_PART_UNWRITTEN, OTHER_FUNCTION, -1 },
};
enum { DEFECTS = sizeof defects / sizeof *defects };

Test(gradcheck, hides_what_backward_is_said_not_to_read)
{
    leat_real x[3] = { 1, (leat_real)-0.5, 2 };
    leat_tensor in = { x, LEAT_SHAPE(3) };
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(apply_declared, (void *)&declared, 1, &in, NULL, &r), "%s", r.reason);
    cr_assert_not(leat_gradcheck(apply_declared, (void *)&misdeclared, 1, &in, NULL, &r));
    cr_assert_str_eq(r.reason, OTHER_FUNCTION);
    cr_assert(isnan(r.analytic));
}

ParameterizedTestParameters(gradcheck, finds)
{
    static int indices[DEFECTS];
    for (int i = 0; i < DEFECTS; i++)
        indices[i] = i;
    return cr_make_param_array(int, indices, DEFECTS);
}

ParameterizedTest(int *index, gradcheck, finds)
{
    leat_real x[6] = { 1, (leat_real)-0.5, 2, (leat_real)0.7, (leat_real)-1.5, (leat_real)1.2 }, was[6];
    memcpy(was, x, sizeof x);
    defect d = defects[*index].d;
    leat_gradcheck_report r;
    bool ok = leat_gradcheck(apply_cube, &d, 1, &(leat_tensor){ x, LEAT_SHAPE(2, 3) }, NULL, &r);
    cr_assert_eq(ok, d == NONE, "defect %d", (int)d);
    cr_assert_eq(r.ok, ok);
    cr_assert_str_eq(r.reason, defects[*index].reason, "defect %d: %s", (int)d, r.reason);
    if (defects[*index].index >= 0)
        cr_assert_eq(r.index, defects[*index].index, "defect %d: element %lld", (int)d, (long long)r.index);
    cr_assert_eq(r.error <= 1, strcmp(r.reason, OTHER_FUNCTION) != 0);
    cr_assert_eq(memcmp(x, was, sizeof x), 0, "the caller's numbers are left alone");
    cr_assert_not(leat_gradcheck(apply_cube, &d, 1, &(leat_tensor){ x, LEAT_SHAPE(2, 3) }, NULL, NULL) && d != NONE);
}

ParameterizedTestParameters(gradcheck, finds_inside)
{
    static int indices[DEFECTS];
    for (int i = 0; i < DEFECTS; i++)
        indices[i] = i;
    return cr_make_param_array(int, indices, DEFECTS);
}

/* Here the op's input belongs to the tape, and what is written past the framework is the tape's own business. */
ParameterizedTest(int *index, gradcheck, finds_inside)
{
    leat_real x[6] = { 1, (leat_real)-0.5, (leat_real)0.8, (leat_real)0.7, (leat_real)-0.9, (leat_real)0.6 };
    defect d = defects[*index].d;
    if (d == WRITES_INPUT || d == WRITES_PAST_FRAMEWORK)
        return;
    leat_gradcheck_report r;
    bool ok = leat_gradcheck(apply_cube_inside, &d, 1, &(leat_tensor){ x, LEAT_SHAPE(6) }, NULL, &r);
    cr_assert_eq(ok, d == NONE, "defect %d: %s %g", (int)d, r.reason, r.error);
}

Test(gradcheck, says_where_and_by_how_much)
{
    leat_real x[] = { 1, 2, 3 };
    defect d = SIGN;
    leat_gradcheck_report r;
    cr_assert_not(leat_gradcheck(apply_cube, &d, 1, &(leat_tensor){ x, LEAT_SHAPE(3) }, NULL, &r));
    cr_assert_eq(r.input, 0);
    cr_assert(r.index >= 0 && r.index < 3);
    cr_assert_float_eq(r.analytic, -r.numeric, 0.01 * fabs(r.numeric));
    cr_assert_gt(fabs(r.numeric), 0);
    cr_assert_gt(r.error, 10);
}

/* ---- a function that is flat, or fails, or changes --------------------------------------------------------------- */

static leat_var flat(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_mul_scalar(in[0], 0);
}

Test(gradcheck, a_gradient_of_zero_must_be_announced)
{
    leat_real x[] = { 1, 2, 3 };
    leat_tensor in = { x, LEAT_SHAPE(3) };
    leat_gradcheck_report r;
    cr_assert_not(leat_gradcheck(flat, NULL, 1, &in, NULL, &r));
    cr_assert_str_eq(r.reason, "the whole gradient is zero");
    cr_assert(leat_gradcheck(flat, NULL, 1, &in, &(leat_gradcheck_opts){ .may_vanish = true }, &r));
    in.shape = LEAT_SHAPE(0);
    cr_assert(leat_gradcheck(flat, NULL, 1, &in, NULL, &r), "nothing is there to vanish");
}

static leat_var stopped(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_mul(leat_detach(in[0]), in[0]);
}

Test(gradcheck, a_gradient_that_is_stopped_is_wrong)
{
    leat_real x[] = { 1, 2, 3 };
    leat_gradcheck_report r;
    cr_assert_not(leat_gradcheck(stopped, NULL, 1, &(leat_tensor){ x, LEAT_SHAPE(3) }, NULL, &r));
    cr_assert_str_eq(r.reason, OTHER_FUNCTION);
}

static leat_var mismatched(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_add(in[0], in[1]);
}

Test(gradcheck, a_failure_is_passed_on)
{
    leat_real x[] = { 1, 2, 3 };
    leat_gradcheck_report r;
    leat_tensor in[] = { { x, LEAT_SHAPE(3) }, { x, LEAT_SHAPE(2) } };
    cr_assert_not(leat_gradcheck(mismatched, NULL, 2, in, NULL, &r));
    cr_assert_str_eq(r.reason, "the function failed");
    cr_assert_eq(r.status.code, LEAT_ESHAPE);
    cr_assert_not_null(strstr(r.status.message, "add [3] x [2]"));
}

static leat_var grows(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n;
    return leat_broadcast_to(in[0], LEAT_SHAPE(++*(int *)user, 3));
}

Test(gradcheck, the_result_must_keep_its_shape)
{
    leat_real x[] = { 1, 2, 3 };
    int calls = 0;
    leat_gradcheck_report r;
    cr_assert_not(leat_gradcheck(grows, &calls, 1, &(leat_tensor){ x, LEAT_SHAPE(3) }, NULL, &r));
    cr_assert_str_eq(r.reason, "the function's result changes its shape");
}

/* Where a large number drowns the difference over a small step, the four-point formula with its larger one decides. */
static leat_var drowned(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_add_scalar(leat_square(in[0]), sizeof(leat_real) == 8 ? 2e4 : 4e3);
}

Test(gradcheck, round_off_is_no_error)
{
    leat_real x[] = { 1, 2, (leat_real)0.3, (leat_real)-0.7, (leat_real)1.1 };
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(drowned, NULL, 1, &(leat_tensor){ x, LEAT_SHAPE(5) }, NULL, &r), "%s %g", r.reason,
              r.error);
}

Test(gradcheck, steps_are_relative_to_large_numbers)
{
    leat_real x[] = { (leat_real)1e9, (leat_real)-1e9, (leat_real)1e5 };
    defect d = NONE;
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(apply_cube, &d, 1, &(leat_tensor){ x, LEAT_SHAPE(3) }, NULL, &r), "%s %g", r.reason,
              r.error);
}

Test(gradcheck, tolerances_are_the_callers)
{
    leat_real x[] = { 1, 2, 3 };
    leat_tensor in = { x, LEAT_SHAPE(3) };
    defect d = SCALE;
    cr_assert_not(leat_gradcheck(apply_cube, &d, 1, &in, NULL, NULL));
    cr_assert(leat_gradcheck(apply_cube, &d, 1, &in, &(leat_gradcheck_opts){ .rtol = 0.3 }, NULL));
    cr_assert(leat_gradcheck(apply_cube, &d, 1, &in, &(leat_gradcheck_opts){ .atol = 10 }, NULL));
    leat_gradcheck_report r;
    cr_assert_not(leat_gradcheck(apply_cube, &d, 1, &in, NULL, &r));
    double off = fabs(r.analytic - r.numeric), most = fmax(fabs(r.analytic), fabs(r.numeric));
    for (int more = 0; more < 2; more++) {
        leat_gradcheck_opts o = { .rtol = off / most * (more ? 1.1 : 0.9), .atol = 1e-12 };
        cr_assert_eq(leat_gradcheck(apply_cube, &d, 1, &in, &o, NULL), more, "%d", more);
    }
}

static leat_var with_parameter(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)n;
    return leat_mul(in[0], leat_leaf_var(t, user));
}

Test(gradcheck, parameters_that_the_function_uses_are_left_without_gradient)
{
    leat_real x[] = { 1, 2, 3 }, w[] = { 4, 5, 6 }, dw[] = { 7, 8, 9 };
    leat_leaf leaf = { .shape = LEAT_SHAPE(3), .value = w, .grad = dw };
    cr_assert(leat_gradcheck(with_parameter, &leaf, 1, &(leat_tensor){ x, LEAT_SHAPE(3) }, NULL, NULL));
    cr_assert_not(leaf.has_grad);
    cr_assert_eq(w[1], 5);
}

/* ---- ops with several inputs, through leat_gradcheck_op ----------------------------------------------------------
 * y = x w, x [3, 4], w [4]; a constant third input (no gradient) is added; a fourth is absent. Outputs y and -y. */

typedef enum pair_defect { PAIR_NONE, NO_BROADCAST_SUM, SWAPPED, SECOND_OUTPUT_IGNORED, WRITES_CONSTANT } pair_defect;

static leat_code pair_shape(leat_call *c)
{
    c->out[0].shape = c->out[1].shape = c->in[0].shape;
    return c->in[3].data ? leat_call_fail(c, LEAT_EARG, "the fourth is there") : LEAT_OK;
}

static void pair_forward(leat_call *c)
{
    for (int64_t i = 0; i < leat_shape_count(&c->out[0].shape); i++) {
        c->out[0].data[i] = c->in[0].data[i] * c->in[1].data[i % 4] + c->in[2].data[0];
        c->out[1].data[i] = -c->out[0].data[i];
    }
}

static void pair_backward(leat_call *c)
{
    const pair_defect d = *(const pair_defect *)c->attributes;
    int64_t n = leat_shape_count(&c->out[0].shape);
    for (int64_t i = 0; i < 4; i++)
        c->din[1].data[i] = 0;
    for (int64_t i = 0; i < n; i++) {
        leat_real g = c->dout[0].data[i] - (d == SECOND_OUTPUT_IGNORED ? 0 : c->dout[1].data[i]);
        c->din[0].data[i] = g * (d == SWAPPED ? c->in[0].data[i] : c->in[1].data[i % 4]);
        if (d != NO_BROADCAST_SUM || i < 4)
            c->din[1].data[i % 4] += g * (d == SWAPPED ? c->in[1].data[i % 4] : c->in[0].data[i]);
    }
    if (d == WRITES_CONSTANT)
        c->in[2].data[0] += 1;
}

static bool pair_sample(leat_case *k, int i)
{
    if (i > WRITES_CONSTANT)
        return false;
    static const pair_defect all[] = { PAIR_NONE, NO_BROADCAST_SUM, SWAPPED, SECOND_OUTPUT_IGNORED, WRITES_CONSTANT };
    k->n = 4;
    k->in[0] = leat_case_normal(k, LEAT_SHAPE(3, 4));
    k->in[1] = leat_case_away(k, LEAT_SHAPE(4), 0.5, 2, false);
    k->in[2] = leat_case_normal(k, LEAT_SHAPE(1));
    k->attributes = &all[i];
    k->attributes_size = sizeof all[i];
    return true;
}

static const leat_op pair = {
    .name = "pair",
    .inputs = 4,
    .outputs = 2,
    .no_grad = 1U << 2,
    .optional = 1U << 3,
    .shape = pair_shape,
    .forward = pair_forward,
    .backward = pair_backward,
    .sample = pair_sample,
};

static const struct {
    const char *reason;
    int input; /* of the worst element; -1: either */
} pair_expected[] = {
    [PAIR_NONE] = { "", -1 },
    [NO_BROADCAST_SUM] = { OTHER_FUNCTION, 1 },
    [SWAPPED] = { OTHER_FUNCTION, -1 },
    [SECOND_OUTPUT_IGNORED] = { OTHER_FUNCTION, -1 },
    [WRITES_CONSTANT] = { "a constant input was written to", -1 },
};

Test(gradcheck, ops_are_checked_with_all_their_inputs_and_outputs)
{
    bool exists;
    for (int i = 0; i <= WRITES_CONSTANT; i++) {
        leat_gradcheck_report r;
        bool ok = leat_gradcheck_op(&pair, i, &exists, NULL, &r);
        cr_assert(exists);
        cr_assert_eq(ok, i == PAIR_NONE, "defect %d: %s", i, r.reason);
        cr_assert_eq(r.ok, ok);
        cr_assert_str_eq(r.reason, pair_expected[i].reason, "defect %d: %s", i, r.reason);
        if (pair_expected[i].input >= 0)
            cr_assert_eq(r.input, pair_expected[i].input);
    }
    cr_assert_not(leat_gradcheck_op(&pair, WRITES_CONSTANT + 1, &exists, NULL, NULL));
    cr_assert_not(exists);
    cr_assert_not(leat_gradcheck_op(&cube, 0, &exists, NULL, NULL), "it has no sample");
    cr_assert_not(exists);
}

/* An op that broadcasts and leaves the sum to leat writes at the output's shape; one that forgets to say so does
 * not. */
static leat_code row_shape(leat_call *c)
{
    return leat_shape_broadcast(&c->in[0].shape, &c->in[1].shape, &c->out[0].shape) ? LEAT_OK : LEAT_ESHAPE;
}

static void row_forward(leat_call *c)
{
    for (int64_t i = 0; i < leat_shape_count(&c->out[0].shape); i++)
        c->out[0].data[i] = c->in[0].data[i] + c->in[1].data[i % 4];
}

static void row_backward(leat_call *c)
{
    for (int k = 0; k < 2; k++)
        memcpy(c->din[k].data, c->dout[0].data, (size_t)leat_shape_count(&c->din[k].shape) * sizeof(leat_real));
}

static bool row_sample(leat_case *k, int i)
{
    k->n = 2;
    k->in[0] = leat_case_normal(k, LEAT_SHAPE(3, 4));
    k->in[1] = leat_case_normal(k, LEAT_SHAPE(4));
    return i == 0;
}

Test(gradcheck, a_missing_broadcast_sum_is_found)
{
    leat_op row = { .name = "row",
                    .inputs = 2,
                    .flags = LEAT_OP_BROADCAST,
                    .shape = row_shape,
                    .forward = row_forward,
                    .backward = row_backward,
                    .sample = row_sample };
    bool exists;
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck_op(&row, 0, &exists, NULL, &r), "%s", r.reason);
    row.flags = 0;
    cr_assert_not(leat_gradcheck_op(&row, 0, &exists, NULL, &r));
    cr_assert_eq(r.input, 1);
    cr_assert_str_eq(r.reason, OTHER_FUNCTION);
}

/* y = 1, whatever x is: case 0 says that its gradient may vanish, case 1 does not. */
static void one_forward(leat_call *c)
{
    for (int64_t i = 0; i < leat_shape_count(&c->out[0].shape); i++)
        c->out[0].data[i] = 1;
}

static void one_backward(leat_call *c)
{
    memset(c->din[0].data, 0, (size_t)leat_shape_count(&c->din[0].shape) * sizeof(leat_real));
}

static bool one_sample(leat_case *k, int i)
{
    k->n = 1;
    k->in[0] = leat_case_normal(k, LEAT_SHAPE(3));
    k->may_vanish = i == 0;
    return i < 2;
}

Test(gradcheck, a_case_may_announce_a_gradient_of_zero)
{
    static const leat_op one = { .name = "one",
                                 .inputs = 1,
                                 .shape = cube_shape,
                                 .forward = one_forward,
                                 .backward = one_backward,
                                 .sample = one_sample };
    bool exists;
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck_op(&one, 0, &exists, NULL, NULL));
    cr_assert_not(leat_gradcheck_op(&one, 1, &exists, NULL, &r));
    cr_assert_str_eq(r.reason, "the whole gradient is zero");
}

/* ---- what samplers draw ------------------------------------------------------------------------------------------ */

Test(gradcheck, samplers_draw_what_they_say)
{
    leat_arena arena;
    leat_arena_init(&arena, NULL);
    leat_rng rng = leat_rng_new(1, 2);
    leat_case k = { .arena = &arena, .rng = &rng };
    leat_tensor both = leat_case_away(&k, LEAT_SHAPE(20, 50), 0.5, 2, false);
    leat_tensor above = leat_case_away(&k, LEAT_SHAPE(1000), 0.5, 2, true);
    leat_tensor normal = leat_case_normal(&k, LEAT_SHAPE(1000));
    int negative = 0;
    double sum = 0, squares = 0;
    for (int i = 0; i < 1000; i++) {
        double size = fabs((double)both.data[i]);
        cr_assert(size >= 0.5 && size <= 2);
        cr_assert(above.data[i] >= (leat_real)0.5 && above.data[i] <= 2);
        negative += both.data[i] < 0;
        sum += (double)normal.data[i];
        squares += (double)normal.data[i] * (double)normal.data[i];
    }
    cr_assert(negative > 400 && negative < 600, "%d", negative);
    cr_assert(fabs(sum / 1000) < 0.15 && fabs(squares / 1000 - 1) < 0.2, "%g %g", sum, squares);
    cr_assert_eq(both.shape.rank, 2);
    leat_arena_free(&arena);
}
