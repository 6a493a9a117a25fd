/* Every op against central differences: whatever stands in the list of ops, on every case that it samples. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "../../autograd/autograd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int op_count(void)
{
    int n = 0;
    while (leat_ops()[n])
        n++;
    return n;
}

static int *indices(int n)
{
    int *all = cr_malloc((size_t)n * sizeof *all);
    for (int i = 0; i < n; i++)
        all[i] = i;
    return all;
}

static void free_indices(struct criterion_test_params *p)
{
    cr_free(p->params);
}

static const char *describe(const leat_gradcheck_report *r)
{
    static char text[800];
    snprintf(text, sizeof text, "%s: input %d, element %lld: %.12g by backward, %.12g by differences, error %g; %s",
             r->reason, r->input, (long long)r->index, r->analytic, r->numeric, r->error, r->status.message);
    return text;
}

ParameterizedTestParameters(gradients, every_op)
{
    int n = op_count();
    return cr_make_param_array(int, indices(n), (size_t)n, free_indices);
}

ParameterizedTest(int *index, gradients, every_op)
{
    const leat_op *op = leat_ops()[*index];
    cr_assert_not_null(op->sample, "%s has no sample, so nothing checks its gradient", op->name);
    bool exists = true;
    int cases = 0;
    for (int i = 0; exists; i++) {
        for (uint64_t seed = 0; seed < 2 && exists; seed++) {
            leat_gradcheck_report report;
            bool ok = leat_gradcheck_op(op, i, &exists, &(leat_gradcheck_opts){ .seed = seed }, &report);
            cr_assert(ok || !exists, "%s, case %d, seed %d: %s", op->name, i, (int)seed, describe(&report));
        }
        cases += exists;
    }
    cr_assert_gt(cases, 0, "%s samples no case", op->name);
}

Test(gradients, the_list_has_them_all)
{
    cr_assert_geq(op_count(), 32);
    for (int i = 0; leat_ops()[i]; i++) {
        for (int j = 0; j < i; j++)
            cr_assert(strcmp(leat_ops()[i]->name, leat_ops()[j]->name) != 0 ||
                      (leat_ops()[i]->shape == leat_ops()[j]->shape && leat_ops()[i]->unread != leat_ops()[j]->unread));
    }
}

/* The gradient of the op's input `which` alone, or of all its inputs (-1), in memory of the arena; NULL: it has
 * none. */
static const leat_real *gradient_of(const leat_op *op, const leat_case *k, int which, int of)
{
    leat_tape *t = leat_tape_new(NULL);
    leat_rng rng = leat_rng_new(5, 5);
    leat_var in[LEAT_MAX_INPUTS];
    for (int i = 0; i < k->n; i++) {
        bool wanted = which < 0 || which == i;
        in[i] = !k->in[i].data ? (leat_var){ 0 } : wanted ? leat_input(t, k->in[i]) : leat_const(t, k->in[i]);
    }
    leat_var y = leat_apply(op, k->attributes, k->attributes_size, k->n, in, NULL);
    leat_tensor cotangent = leat_tensor_new(k->arena, leat_var_shape(y), NULL);
    leat_rng_fill_normal(&rng, cotangent.data, leat_shape_count(&cotangent.shape));
    cr_assert_eq(leat_vjp(y, cotangent), LEAT_OK, "%s", leat_tape_errmsg(t));
    leat_tensor grad = leat_grad(in[of]);
    size_t bytes = (size_t)leat_shape_count(&k->in[of].shape) * sizeof(leat_real);
    leat_real *copy = grad.data ? leat_arena_alloc(k->arena, bytes) : NULL;
    if (copy)
        memcpy(copy, grad.data, bytes);
    leat_tape_free(t);
    return copy;
}

ParameterizedTestParameters(gradients, alone)
{
    int n = op_count();
    return cr_make_param_array(int, indices(n), (size_t)n, free_indices);
}

/* Inputs that want no gradient do not change that of the one that does. */
ParameterizedTest(int *index, gradients, alone)
{
    const leat_op *op = leat_ops()[*index];
    leat_arena arena;
    leat_arena_init(&arena, NULL);
    leat_rng rng = leat_rng_new(6, 6);
    leat_case k = { .op = op, .arena = &arena, .rng = &rng };
    for (int i = 0; op->sample(&k, i); i++) {
        for (int j = 0; j < k.n && k.n > 1; j++) {
            if (!k.in[j].data)
                continue;
            const leat_real *together = gradient_of(op, &k, -1, j), *alone = gradient_of(op, &k, j, j);
            cr_assert_eq(together == NULL, (op->no_grad >> j & 1) != 0, "%s, case %d, input %d", op->name, i, j);
            cr_assert_eq(alone == NULL, together == NULL);
            size_t bytes = (size_t)leat_shape_count(&k.in[j].shape) * sizeof(leat_real);
            cr_assert(!alone || memcmp(alone, together, bytes) == 0, "%s, case %d, input %d", op->name, i, j);
        }
        k = (leat_case){ .op = op, .arena = &arena, .rng = &rng };
    }
    leat_arena_free(&arena);
}

/* ---- functions made of several ops, or of one in a particular way ------------------------------------------------ */

static leat_var add_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_add(in[0], in[0]);
}

static leat_var sub_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_sub(in[0], in[0]);
}

static leat_var mul_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_mul(in[0], in[0]);
}

static leat_var div_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_div(in[0], in[0]);
}

static leat_var matmul_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    const bool *trans = user;
    (void)t, (void)n;
    return leat_matmul_t(in[0], in[0], trans[0], trans[1]);
}

static leat_var linear_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_linear(in[0], in[0], (leat_var){ 0 }, LEAT_TANH);
}

static leat_var where_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_where(in[0], in[0], in[0]);
}

static leat_var concat_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_mul(leat_concat(3, (leat_var[]){ in[0], in[0], in[0] }, 1),
                    leat_concat(3, (leat_var[]){ in[0], in[0], in[0] }, -1));
}

static leat_var index_copy_itself(leat_tape *t, int n, const leat_var *in, void *user)
{
    static const int64_t order[] = { 4, 2, 0, 3, 1 };
    (void)t, (void)n, (void)user;
    return leat_add(leat_index_copy(in[0], 1, (leat_index){ order, 5 }, in[0]),
                    leat_index_add(in[0], 0, (leat_index){ order, 5 }, in[0]));
}

static leat_var mul_own_row(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n, (void)user;
    return leat_mul(in[0], leat_slice(in[0], 0, 1, 1));
}

static leat_var softplus_layer(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)user;
    return leat_linear(in[0], in[0], n > 1 ? in[1] : (leat_var){ 0 }, LEAT_SOFTPLUS);
}

/* A use of one variable by many ops, through views and broadcasts. */
static leat_var tangle(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)n, (void)user;
    leat_var x = in[0], flat = leat_reshape(x, LEAT_SHAPE(-1)), row = leat_mean_axes(x, 1, (int[]){ 0 }, true);
    leat_var y = leat_sub(leat_tanh(x), row);
    y = leat_add(y, leat_reshape(leat_mul_scalar(flat, 0.5), leat_var_shape(x)));
    y = leat_mul(y, leat_logsumexp(x, 1, (int[]){ -1 }, true));
    y = leat_add(y, leat_zeros(t, leat_var_shape(y)));
    return leat_concat(
        2, (leat_var[]){ leat_sum_features(y), leat_rdiv_scalar(1, leat_add_scalar(leat_square(flat), 1)) }, 0);
}

/* Random numbers of the tape: the same at every evaluation. */
static leat_var noisy(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)n, (void)user;
    return leat_mul(in[0], leat_randn(t, leat_var_shape(in[0])));
}

static bool plain[] = { false, false }, left[] = { true, false }, right[] = { false, true }, both[] = { true, true };

static const struct {
    const char *name;
    leat_differentiable *f;
    bool *user, may_vanish;
} functions[] = {
    { "x + x", add_itself, NULL, false },
    { "x - x", sub_itself, NULL, true },
    { "x * x", mul_itself, NULL, false },
    { "x / x", div_itself, NULL, true },
    { "x x", matmul_itself, plain, false },
    { "x^T x", matmul_itself, left, false },
    { "x x^T", matmul_itself, right, false },
    { "x^T x^T", matmul_itself, both, false },
    { "linear of itself", linear_itself, NULL, false },
    { "where of itself", where_itself, NULL, false },
    { "concat of itself", concat_itself, NULL, false },
    { "index_copy of itself", index_copy_itself, NULL, false },
    { "x * x[1]", mul_own_row, NULL, false },
    { "linear with softplus", softplus_layer, NULL, false },
    { "tangle", tangle, NULL, false },
    { "noisy", noisy, NULL, false },
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

ParameterizedTestParameters(gradients, of_functions)
{
    return cr_make_param_array(int, indices(FUNCTIONS), FUNCTIONS, free_indices);
}

ParameterizedTest(int *index, gradients, of_functions)
{
    leat_real x[25], b[5];
    for (int i = 0; i < 25; i++)
        x[i] = (leat_real)((i % 2 ? -1 : 1) * (0.5 + 0.04 * ((i * 7) % 25)));
    for (int i = 0; i < 5; i++)
        b[i] = (leat_real)(0.3 * i - 0.5);
    leat_tensor in[] = { { x, LEAT_SHAPE(5, 5) }, { b, LEAT_SHAPE(5) } };
    leat_gradcheck_report r;
    leat_gradcheck_opts o = { .may_vanish = functions[*index].may_vanish };
    bool two = functions[*index].f == softplus_layer;
    cr_assert(leat_gradcheck(functions[*index].f, functions[*index].user, two ? 2 : 1, in, &o, &r), "%s: %s",
              functions[*index].name, describe(&r));
}
