/* What the tests of layers share: what each test finds and gives back, cases of layers.safetensors (make_layers.py),
 * training against PyTorch's losses, and gradients against differences. */
#ifndef LAYER_HELPERS_H
#define LAYER_HELPERS_H

#include "nn_helpers.h"

/* Each test has its own: `setup` and `teardown` are those of its suite. */
static leat_arena arena;
static leat_safetensors fixture;
static leat_model *model;
static leat_tape *tape;

static inline void setup(void)
{
    make_folder();
    leat_arena_init(&arena, NULL);
    fixture = read_fixture(&arena, "layers.safetensors");
    model = leat_model_new(NULL);
    tape = leat_model_tape(model, NULL);
}

static inline void teardown(void)
{
    leat_model_free(model);
    leat_arena_free(&arena);
    remove_folder();
}

static const double layer_tolerance = sizeof(leat_real) == 8 ? 1e-11 : 2e-5;

/* The tensor "<name>.<what>"; data NULL if there is none. */
static inline leat_tensor case_tensor(const leat_safetensors *f, const char *name, const char *what)
{
    char text[128];
    snprintf(text, sizeof text, "%s.%s", name, what);
    const leat_tensor *t = leat_safetensors_find(f, text);
    return t ? *t : (leat_tensor){ 0 };
}

/* The tensors "<name>.<part>.<..>", under the names behind that. */
static inline leat_safetensors case_part(leat_arena *a, const leat_safetensors *f, const char *name, const char *part)
{
    char start[128];
    int length = snprintf(start, sizeof start, "%s.%s.", name, part);
    leat_safetensors out = { .entries = leat_arena_alloc(a, (size_t)f->count * sizeof *out.entries) };
    for (int64_t i = 0; i < f->count; i++) {
        if (starts_with(f->entries[i].name, start))
            out.entries[out.count++] =
                (leat_safetensors_entry){ f->entries[i].name + length, f->entries[i].tensor, NULL };
    }
    cr_assert_gt(out.count, 0, "no %s", start);
    return out;
}

static inline void load_case(leat_model *m, leat_arena *a, const leat_safetensors *f, const char *name)
{
    leat_safetensors state = case_part(a, f, name, "state");
    leat_status s = { 0 };
    cr_assert_eq(leat_load_tensors(m, &state, name, &s), LEAT_OK, "%s", s.message);
}

/* Output and gradients are PyTorch's. */
static inline void check_case(leat_module *net, leat_tape *t, leat_arena *a, const leat_safetensors *f,
                              const char *name)
{
    leat_tensor context = case_tensor(f, name, "context"), dx = case_tensor(f, name, "dx");
    leat_safetensors grads = { 0 };
    leat_var x = leat_input(t, case_tensor(f, name, "x")), c = { 0 };
    if (context.data)
        c = leat_input(t, context);
    leat_var y = leat_forward_with(net, x, c);
    cr_assert(leat_ok(y), "%s: %s", name, leat_tape_errmsg(t));
    leat_tensor want = case_tensor(f, name, "out");
    leat_shape shape = leat_var_shape(y);
    cr_assert(leat_shape_equal(&shape, &want.shape), "%s", name);
    check_close(name, leat_value(y).data, want, layer_tolerance);
    cr_assert_eq(leat_vjp(y, case_tensor(f, name, "g")), LEAT_OK, "%s", leat_tape_errmsg(t));
    if (dx.data)
        check_close("dx", leat_grad(x).data, dx, layer_tolerance);
    if (context.data)
        check_close("dcontext", leat_grad(c).data, case_tensor(f, name, "dcontext"), layer_tolerance);
    grads = case_part(a, f, name, "grad");
    for (int64_t i = 0; i < grads.count; i++) {
        leat_param *p = leat_find_param(net->model, grads.entries[i].name);
        cr_assert(p && p->leaf.has_grad, "%s: %s", name, grads.entries[i].name);
        check_close(grads.entries[i].name, p->leaf.grad, grads.entries[i].tensor, 10 * layer_tolerance);
    }
}

/* From PyTorch's weights, PyTorch's losses over its steps of Adam. */
static inline void train_case(leat_module *net, const leat_safetensors *f, const char *name)
{
    leat_tensor context = case_tensor(f, name, "train.context"), want = case_tensor(f, name, "train.losses");
    leat_model *m = net->model;
    leat_tape *t = leat_model_tape(m, NULL);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.01 });
    double tolerance = sizeof(leat_real) == 8 ? 1e-7 : 1e-3;
    cr_assert_eq(want.shape.size[0], 100);
    for (int64_t i = 0; i < want.shape.size[0]; i++) {
        leat_tape_reset(t);
        leat_var c = context.data ? leat_const(t, context) : (leat_var){ 0 };
        leat_var out = leat_forward_with(net, leat_const(t, case_tensor(f, name, "train.x")), c);
        leat_var loss = leat_mean(leat_square(leat_sub(out, leat_const(t, case_tensor(f, name, "train.y")))));
        double got = leat_item(loss), wanted = (double)want.data[i];
        cr_assert(fabs(got - wanted) <= tolerance, "%s, step %lld: %.9g, not %.9g", name, (long long)i, got, wanted);
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
}

/* Such a refusal, after which the tape is as new. */
static inline void check_tape_failed(leat_var v, leat_code code, const char *message)
{
    cr_assert(!leat_ok(v));
    cr_assert_eq(leat_tape_code(tape), code, "%s", leat_tape_errmsg(tape));
    cr_assert_str_eq(leat_tape_errmsg(tape), message);
    leat_tape_reset(tape);
}

/* ---- gradients against differences ------------------------------------------------------------------------------- */

static inline leat_var run_module(leat_tape *t, int n, const leat_var *in, void *net)
{
    (void)t;
    return leat_forward_with(net, in[0], n > 1 ? in[1] : (leat_var){ 0 });
}

typedef struct difference_check {
    leat_module *net;
    leat_tape *tape;
    int n;
    const leat_tensor *in;
} difference_check;

/* The sum of all results, each with a weight, the same ones every time. */
static inline leat_var weighted_sum(const difference_check *k)
{
    leat_var vars[2];
    leat_tape_reset(k->tape);
    *leat_tape_rng(k->tape) = leat_rng_new(4, 4);
    for (int i = 0; i < k->n; i++)
        vars[i] = leat_const(k->tape, k->in[i]);
    leat_var y = run_module(k->tape, k->n, vars, k->net);
    leat_var sum = leat_sum(leat_mul(y, leat_randn(k->tape, leat_var_shape(y))));
    cr_assert(leat_ok(sum), "%s", leat_tape_errmsg(k->tape));
    return sum;
}

static inline void check_differences(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    const difference_check *k = v->user;
    const double h = 1e-5;
    char text[128];
    cr_assert(p->leaf.has_grad, "%s", leat_param_path(p, text, sizeof text));
    for (int64_t i = 0; i < leat_shape_count(&p->leaf.shape); i++) {
        leat_real was = p->leaf.value[i];
        p->leaf.value[i] = was + (leat_real)h;
        double above = leat_item(weighted_sum(k));
        p->leaf.value[i] = was - (leat_real)h;
        double slope = (above - leat_item(weighted_sum(k))) / (2 * h), got = (double)p->leaf.grad[i];
        p->leaf.value[i] = was;
        cr_assert(fabs(got - slope) <= 1e-6 * fmax(1, fabs(slope)), "%s[%lld]: %.9g, not %.9g",
                  leat_param_path(p, text, sizeof text), (long long)i, got, slope);
    }
}

/* The gradients of the inputs by leat_gradcheck, and in double those of every parameter by differences. The module uses
 * no random numbers. */
static inline void check_gradients(leat_module *net, int n, const leat_tensor *in)
{
    leat_gradcheck_report report;
    cr_assert(net, "the module could not be built");
    cr_assert_eq(leat_model_seal(net->model), LEAT_OK, "%s", leat_model_errmsg(net->model));
    cr_assert(leat_gradcheck(run_module, net, n, in, NULL, &report), "%s: input %d[%lld]: %.9g, not %.9g %s",
              report.reason, report.input, (long long)report.index, report.analytic, report.numeric,
              report.status.message);
    if (sizeof(leat_real) != 8)
        return;
    difference_check k = { net, leat_model_tape(net->model, NULL), n, in };
    leat_visitor v = { .user = &k, .param = check_differences };
    leat_zero_grad(net->model);
    cr_assert_eq(leat_backward(weighted_sum(&k)), LEAT_OK, "%s", leat_tape_errmsg(k.tape));
    leat_visit(&v, net);
}

/* Saved by one module and loaded by another of the same kind: the same numbers, and the same output. */
static inline void check_round_trip(leat_module *from, leat_module *to, leat_tensor x, leat_tensor context)
{
    leat_module *both[] = { from, to };
    leat_tensor out[2];
    leat_status s = { 0 };
    cr_assert_neq(leat_model_hash(from->model), leat_model_hash(to->model));
    cr_assert_eq(leat_save(from->model, in_folder("layer"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_load(to->model, in_folder("layer"), &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_model_hash(from->model), leat_model_hash(to->model));
    for (int i = 0; i < 2; i++) {
        leat_tape *t = leat_model_tape(both[i]->model, &(leat_tape_opts){ .evaluate = true });
        leat_var c = context.data ? leat_const(t, context) : (leat_var){ 0 };
        leat_var y = leat_forward_with(both[i], leat_const(t, x), c);
        cr_assert(leat_ok(y), "%s", leat_tape_errmsg(t));
        out[i] = leat_value(y);
    }
    check_bits(out[0].data, out[1].data, leat_shape_count(&out[0].shape), "after loading");
}

/* Whichever call for memory fails: LEAT_ENOMEM on model or tape, and everything is given back. */
static inline void check_out_of_memory(leat_module *(*build)(leat_model *m), leat_shape x, int64_t context)
{
    for (int64_t limit = 0; limit < 300; limit++) {
        ledger l;
        ledger_init(&l, limit);
        leat_model *m = leat_model_new(&(leat_model_opts){ .threads = 1, .allocator = &l.allocator });
        leat_module *net = build(m);
        leat_tape *t = leat_model_tape(m, NULL);
        leat_code code = leat_model_code(m);
        if (t && !code) {
            leat_var c = context ? leat_full(t, LEAT_SHAPE(x.size[0], context), 1) : (leat_var){ 0 };
            code = leat_backward(leat_mean(leat_forward_with(net, leat_full(t, x, 1), c)));
        }
        leat_model_free(m);
        cr_assert_eq(l.blocks, 0);
        if (t && !code)
            return;
        cr_assert(!t || code == LEAT_ENOMEM, "call %lld: code %d", (long long)limit, code);
    }
    cr_assert(false, "it never succeeds");
}

#endif
