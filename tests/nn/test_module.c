/* Modules: names, building and its failures, sealing, traversal, running, summary. */
#include "nn_helpers.h"

static void list_name(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char text[512], shape[LEAT_SHAPE_TEXT], *list = v->user;
    sprintf(list + strlen(list), "%s %s\n", leat_param_path(p, text, sizeof text),
            leat_shape_print(&p->leaf.shape, shape));
}

static void list_buffer_name(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    char text[512], *list = v->user;
    sprintf(list + strlen(list), "%s/%s\n", leat_scope_path(&owner->scope, text, sizeof text), b->name);
}

static const char *names_of(leat_model *m)
{
    static char list[4096];
    list[0] = '\0';
    leat_visitor v = { .user = list, .param = list_name, .buffer = list_buffer_name };
    leat_visit_model(&v, m);
    return list;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

Test(module, mlp_has_pytorch_names_and_shapes)
{
    leat_model *m = leat_model_new(NULL);
    leat_mlp(m, 3, (int64_t[]){ 8, 5, 0 }, 2, LEAT_RELU);
    cr_assert_str_eq(names_of(m),
                     "0.weight [8,3]\n0.bias [8]\n2.weight [5,8]\n2.bias [5]\n4.weight [2,5]\n4.bias [2]\n");
    cr_assert_eq(leat_param_count(m), 8 * 3 + 8 + 5 * 8 + 5 + 2 * 5 + 2);

    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "mlp.safetensors");
    cr_assert_eq(f.count, 6);
    for (int64_t i = 0; i < f.count; i++) {
        leat_param *p = leat_find_param(m, f.entries[i].name);
        cr_assert(p, "no %s", f.entries[i].name);
        cr_assert(leat_shape_equal(&p->leaf.shape, &f.entries[i].tensor.shape), "%s", f.entries[i].name);
    }
    leat_arena_free(&a);
    leat_model_free(m);
}

Test(module, mlp_without_hidden_layers)
{
    leat_model *m = leat_model_new(NULL);
    holder *h = holder_new(m, false);
    holder_add(h, leat_mlp(m, 3, (int64_t[]){ 0 }, 2, LEAT_TANH), "a");
    holder_add(h, leat_mlp(m, 3, NULL, 2, LEAT_TANH), "b");
    cr_assert_str_eq(names_of(m), "a.0.weight [2,3]\na.0.bias [2]\nb.0.weight [2,3]\nb.0.bias [2]\n");
    leat_model_free(m);
}

Test(module, paths_follow_the_tree)
{
    leat_model *m = leat_model_new(NULL);
    holder *root = holder_new(m, true), *inner = holder_new(m, true);
    leat_module *net = leat_mlp(m, 2, (int64_t[]){ 4, 0 }, 1, LEAT_RELU);
    holder_add(inner, net, "net");
    holder_add(root, &inner->module, "layers.0");
    cr_assert_str_eq(names_of(m), "scale []\n/state\nlayers.0.scale []\nlayers.0/state\nlayers.0.net.0.weight [4,2]\n"
                                  "layers.0.net.0.bias [4]\nlayers.0.net.2.weight [1,4]\nlayers.0.net.2.bias [1]\n");
    char text[64];
    leat_param *p = leat_find_param(m, "layers.0.net.2.weight");
    cr_assert(p);
    cr_assert_str_eq(leat_param_path(p, text, sizeof text), "layers.0.net.2.weight");
    cr_assert_str_eq(leat_param_path(p, text, 9), "layers.0");
    cr_assert_null(leat_find_param(m, "layers.0.net.2"));
    cr_assert_null(leat_find_param(m, ""));
    leat_model_free(m);
}

static void note_enter(leat_visitor *v, leat_module *m)
{
    char *list = v->user;
    sprintf(list + strlen(list), "<%s", m->scope.name ? m->scope.name : "");
}

static void note_leave(leat_visitor *v, leat_module *m)
{
    (void)m;
    strcat(v->user, ">");
}

Test(module, traversal_enters_and_leaves_in_order)
{
    leat_model *m = leat_model_new(NULL);
    holder *root = holder_new(m, false);
    holder_add(root, leat_mlp(m, 2, (int64_t[]){ 4, 0 }, 1, LEAT_RELU), "net");
    holder_add(root, leat_linear_layer(m, 1, 1), "last");
    char list[128] = "";
    leat_visitor v = { .user = list, .enter = note_enter, .leave = note_leave };
    leat_visit_model(&v, m);
    cr_assert_str_eq(list, "<<net<0><1><2>><last>>");
    leat_model_free(m);
}

/* ---- failures while building ------------------------------------------------------------------------------------- */

Test(module, duplicate_names_are_refused)
{
    leat_model *m = leat_model_new(NULL);
    leat_mlp(m, 2, (int64_t[]){ 0 }, 1, LEAT_RELU);
    leat_mlp(m, 2, (int64_t[]){ 0 }, 1, LEAT_RELU);
    cr_assert_eq(leat_model_code(m), LEAT_OK);
    cr_assert_eq(leat_model_seal(m), LEAT_EARG);
    CHECK_FAILED(m, LEAT_EARG, "0.bias: two parameters");
    leat_model_free(m);

    m = leat_model_new(NULL);
    holder *h = holder_new(m, true);
    h->state->name = "scale";
    cr_assert_eq(leat_model_seal(m), LEAT_EARG);
    CHECK_FAILED(m, LEAT_EARG, "scale: two parameters or buffers");
    leat_model_free(m);
}

/* With "weight" behind it, and a point; 510 bytes are the most. */
Test(module, names_that_are_too_long_are_refused)
{
    for (int length = 503; length < 505; length++) {
        leat_model *m = leat_model_new(NULL);
        char name[600] = { 0 };
        memset(name, 'x', (size_t)length);
        holder_add(holder_new(m, false), leat_linear_layer(m, 1, 1), name);
        cr_assert_eq(leat_model_seal(m), length == 503 ? LEAT_OK : LEAT_EARG);
        if (length > 503)
            CHECK_FAILED(m, LEAT_EARG, "xxx...: a full name of more than 510 bytes");
        leat_model_free(m);
    }
}

enum { TWO_PARENTS, ITSELF, ANCESTOR, OTHER_MODEL, NO_CHILD, NO_PARENT, TOO_LATE };
static const struct {
    int what;
    const char *text;
} refused_attach[] = {
    { TWO_PARENTS, "a.part: linear) has a parent already" },
    { ITSELF, "contains it" },
    { ANCESTOR, "holder) contains it" },
    { OTHER_MODEL, "belongs to another model" },
    { NO_CHILD, "holder: a part of it is missing" },
    { NO_PARENT, "linear: what it is a part of is missing" },
    { TOO_LATE, "comes too late" },
};

Test(module, attaching_is_refused)
{
    for (size_t i = 0; i < sizeof refused_attach / sizeof *refused_attach; i++) {
        leat_model *m = leat_model_new(NULL), *other = leat_model_new(NULL);
        holder *a = holder_new(m, false), *b = holder_new(m, false);
        leat_module *part = leat_linear_layer(m, 1, 1);
        holder_add(a, &b->module, "b");
        switch (refused_attach[i].what) {
        case TWO_PARENTS:
            a->module.scope.name = "a";
            leat_attach(&a->module, part, "part");
            leat_attach(&b->module, part, "part");
            break;
        case ITSELF:
            leat_attach(&a->module, &a->module, "x");
            break;
        case ANCESTOR:
            leat_attach(&b->module, &a->module, "x");
            break;
        case OTHER_MODEL:
            leat_attach(&a->module, leat_linear_layer(other, 1, 1), "x");
            break;
        case NO_CHILD:
            leat_attach(&a->module, NULL, "x");
            break;
        case NO_PARENT:
            leat_attach(NULL, part, "x");
            break;
        case TOO_LATE:
            cr_assert_eq(leat_model_seal(m), LEAT_OK);
            leat_attach(&a->module, part, "x");
            break;
        }
        CHECK_FAILED(m, LEAT_ESTATE, refused_attach[i].text);
        leat_model_free(m);
        leat_model_free(other);
    }
    leat_attach(NULL, NULL, "nothing happens");
}

Test(module, sizes_that_make_no_sense)
{
    leat_model *m = leat_model_new(NULL);
    leat_mlp(m, 3, (int64_t[]){ -8, 0 }, 2, LEAT_RELU);
    CHECK_FAILED(m, LEAT_EARG, "linear: 3 -> -8 features");
    leat_model_free(m);

    m = leat_model_new(NULL);
    leat_linear_layer(m, (int64_t)1 << 40, (int64_t)1 << 40);
    CHECK_FAILED(m, LEAT_ENOMEM, "linear: no memory could hold 'weight' of shape");
    leat_model_free(m);

    m = leat_model_new(NULL); /* each fits an address space, together they do not */
    for (int i = 0; i < 9; i++)
        leat_linear_layer(m, ((int64_t)1 << 58) / (int64_t)sizeof(leat_real), 8);
    CHECK_FAILED(m, LEAT_ENOMEM, "no memory could hold");
    leat_model_free(m);

    m = leat_model_new(NULL);
    cr_assert_null(leat_activation_layer(m, (leat_activation)77));
    CHECK_FAILED(m, LEAT_EARG, "no activation number 77");
    leat_model_free(m);

    m = leat_model_new(NULL);
    holder *h = holder_new(m, false);
    cr_assert_null(leat_param_new(&h->module, "", LEAT_SHAPE(1), leat_init_zeros()));
    CHECK_FAILED(m, LEAT_EARG, "without a name");
    leat_model_free(m);
}

Test(module, the_first_failure_stays_and_reaches_the_tape)
{
    leat_model *m = leat_model_new(NULL);
    leat_tape *t = leat_model_tape(m, NULL);
    leat_module *net = leat_mlp(m, 3, (int64_t[]){ -8, 0 }, 2, LEAT_RELU);
    leat_linear_layer(m, -1, -1);
    leat_module *good = leat_linear_layer(m, 2, 2);
    leat_optim *adam = leat_adam_new(m, NULL);
    CHECK_FAILED(m, LEAT_EARG, "3 -> -8");
    cr_assert_null(adam);
    cr_assert_eq(leat_optim_step(adam), LEAT_ESTATE);
    cr_assert_eq(leat_optim_status(adam)->code, LEAT_ESTATE);
    leat_optim *sgd = leat_sgd_new(m, NULL);
    cr_assert_eq(leat_optim_step(sgd), LEAT_ESTATE);
    cr_assert_eq(leat_optim_status(sgd)->code, LEAT_ESTATE);

    cr_assert(!leat_ok(leat_forward(net, leat_full(t, LEAT_SHAPE(4, 3), 1))));
    cr_assert_eq(leat_tape_code(t), LEAT_EARG);
    cr_assert(strstr(leat_tape_errmsg(t), "linear: 3 -> -8 features"), "%s", leat_tape_errmsg(t));
    leat_tape_reset(t);
    cr_assert(!leat_ok(leat_use(t, leat_param_new(good, "more", LEAT_SHAPE(1), leat_init_zeros()))));
    cr_assert_eq(leat_tape_code(t), LEAT_EARG);
    leat_tape_reset(t);
    cr_assert(!leat_ok(leat_forward(NULL, leat_full(t, LEAT_SHAPE(4, 3), 1))));
    cr_assert_eq(leat_tape_code(t), LEAT_ESTATE);
    cr_assert_str_eq(leat_tape_errmsg(t), "a module is missing: the model could not be built");
    leat_tape_reset(t);
    cr_assert(!leat_ok(leat_use(t, NULL)));
    cr_assert_eq(leat_tape_code(t), LEAT_ESTATE);
    cr_assert_eq(leat_model_hash(m), 0);
    cr_assert_null(leat_find_param(m, "weight"));
    leat_model_free(m);
}

Test(module, nothing_is_added_to_a_sealed_model)
{
    leat_model *m = leat_model_new(NULL);
    holder *h = holder_new(m, false);
    cr_assert_eq(leat_model_seal(m), LEAT_OK);
    cr_assert_null(leat_param_new(&h->module, "late", LEAT_SHAPE(1), leat_init_zeros()));
    CHECK_FAILED(m, LEAT_ESTATE, "holder: 'late' comes too late");
    leat_model_free(m);

    m = leat_model_new(NULL);
    h = holder_new(m, false);
    cr_assert_eq(leat_model_seal(m), LEAT_OK);
    cr_assert_null(leat_buffer_new(&h->module, "late", LEAT_SHAPE(1)));
    CHECK_FAILED(m, LEAT_ESTATE, "holder: 'late' comes too late");
    leat_model_free(m);
}

/* ---- sealing and starts ------------------------------------------------------------------------------------------ */

Test(module, parameters_stand_in_flat_arrays)
{
    leat_model *m = leat_model_new(NULL);
    leat_mlp(m, 3, (int64_t[]){ 8, 5, 0 }, 2, LEAT_RELU);
    leat_param *first = leat_find_param(m, "0.weight");
    int64_t end = 0;
    for (leat_param *p = first; p; p = p->next) {
        cr_assert_eq(p->offset % 16, 0);
        cr_assert_eq(p->offset, (end + 15) / 16 * 16);
        cr_assert_eq(p->leaf.value - first->leaf.value, p->offset);
        cr_assert_eq(p->leaf.grad - first->leaf.grad, p->offset);
        for (int64_t i = end; i < p->offset; i++)
            cr_assert(first->leaf.value[i] == 0 && first->leaf.grad[i] == 0);
        end = p->offset + leat_shape_count(&p->leaf.shape);
    }
    cr_assert_eq(first->next->next->index, 2);
    leat_model_free(m);
}

Test(module, empty_layers)
{
    leat_model *m = leat_model_new(NULL);
    holder *h = holder_new(m, false);
    leat_module *none_in = leat_linear_layer(m, 0, 3), *none_out = leat_linear_layer(m, 3, 0);
    holder_add(h, none_in, "in");
    holder_add(h, none_out, "out");
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_tape *t = leat_model_tape(m, NULL);
    leat_var y = leat_forward(none_in, leat_full(t, LEAT_SHAPE(4, 0), 1));
    leat_var z = leat_forward(none_out, y);
    cr_assert(leat_ok(z), "%s", leat_tape_errmsg(t));
    cr_assert_eq(leat_var_size(y, 1), 3);
    cr_assert_eq(leat_var_size(z, 1), 0);
    for (int i = 0; i < 12; i++)
        cr_assert(leat_value(y).data[i] == 0);
    cr_assert_eq(leat_backward(leat_add(leat_sum(y), leat_sum(z))), LEAT_OK, "%s", leat_tape_errmsg(t));
    cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    cr_assert_float_eq((double)leat_find_param(m, "in.bias")->leaf.value[0], -1e-3, 1e-6);
    leat_model_free(m);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

Test(module, messages_name_the_place)
{
    leat_model *m = leat_model_new(NULL);
    holder *h = holder_new(m, false);
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_linear_layer(m, 2, 5));
    leat_sequential_add(net, leat_activation_layer(m, LEAT_RELU));
    leat_sequential_add(net, leat_linear_layer(m, 4, 1));
    holder_add(h, net, "net");
    holder_add(h, leat_mlp(m, 3, (int64_t[]){ 4, 0 }, 1, LEAT_TANH), "good");
    leat_tape *t = leat_model_tape(m, NULL);
    leat_var y = leat_forward(&h->module, leat_full(t, LEAT_SHAPE(7, 2), 1));
    cr_assert(!leat_ok(y));
    cr_assert_eq(leat_tape_code(t), LEAT_ESHAPE);
    cr_assert(starts_with(leat_tape_errmsg(t), "net.2: linear [7,5] x [1,4]"), "%s", leat_tape_errmsg(t));
    leat_tape_reset(t); /* and with an activation behind it */
    y = leat_forward(&h->module, leat_full(t, LEAT_SHAPE(7, 3), 1));
    cr_assert(starts_with(leat_tape_errmsg(t), "net.0: linear [7,3] x [5,2]"), "%s", leat_tape_errmsg(t));
    leat_tape_reset(t); /* the place is left again */
    leat_forward(h->child[1], leat_full(t, LEAT_SHAPE(7, 3), 1));
    leat_add(leat_full(t, LEAT_SHAPE(2), 1), leat_full(t, LEAT_SHAPE(3), 1));
    cr_assert(starts_with(leat_tape_errmsg(t), "add ["), "%s", leat_tape_errmsg(t));
    leat_model_free(m);
}

/* The layers of an MLP, one op at a time. */
static leat_var run_plain(leat_model *m, leat_var x, int layers, leat_activation f)
{
    for (int i = 0; i < layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.weight", 2 * i);
        leat_var w = leat_use(x.tape, leat_find_param(m, name));
        snprintf(name, sizeof name, "%d.bias", 2 * i);
        x = leat_linear(x, w, leat_use(x.tape, leat_find_param(m, name)), LEAT_IDENTITY);
        if (i < layers - 1)
            x = leat_activate(x, f);
    }
    return x;
}

static const leat_activation activations[] = { LEAT_IDENTITY, LEAT_RELU, LEAT_TANH, LEAT_SIGMOID, LEAT_SOFTPLUS };

Test(module, a_sequential_gives_the_bits_of_single_ops)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor x = make_data(&a, LEAT_SHAPE(33, 3), 5), cotangent = make_data(&a, LEAT_SHAPE(33, 2), 6);
    for (size_t k = 0; k < sizeof activations / sizeof *activations; k++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_mlp(m, 3, (int64_t[]){ 17, 9, 0 }, 2, activations[k]);
        leat_tape *t = leat_model_tape(m, NULL);
        leat_var y = leat_forward(net, leat_const(t, x));
        cr_assert_eq(leat_vjp(y, cotangent), LEAT_OK, "%s", leat_tape_errmsg(t));
        leat_tensor out = make_data(&a, LEAT_SHAPE(33, 2), 0);
        memcpy(out.data, leat_value(y).data, 66 * sizeof *out.data);
        leat_param *first = leat_find_param(m, "0.weight"), *last = leat_find_param(m, "4.bias");
        int64_t numbers = last->offset + 2;
        leat_tensor grads = make_data(&a, LEAT_SHAPE(numbers), 0);
        memcpy(grads.data, first->leaf.grad, (size_t)numbers * sizeof *grads.data);

        leat_zero_grad(m);
        leat_tape_reset(t);
        y = run_plain(m, leat_const(t, x), 3, activations[k]);
        cr_assert_eq(leat_vjp(y, cotangent), LEAT_OK, "%s", leat_tape_errmsg(t));
        check_bits(leat_value(y).data, out.data, 66, "outputs");
        check_bits(first->leaf.grad, grads.data, numbers, "gradients");
        leat_model_free(m);
    }
    leat_arena_free(&a);
}

Test(module, a_context_is_joined_to_the_input)
{
    leat_model *m = leat_model_new(NULL);
    leat_module *net = leat_mlp(m, 5, (int64_t[]){ 4, 0 }, 2, LEAT_TANH);
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor x = make_data(&a, LEAT_SHAPE(6, 3), 1), c = make_data(&a, LEAT_SHAPE(6, 2), 2);
    leat_tape *t = leat_model_tape(m, NULL);
    leat_var vx = leat_const(t, x), vc = leat_const(t, c);
    leat_var y = leat_forward_with(net, vx, vc);
    leat_var z = leat_forward(net, leat_concat(2, (leat_var[]){ vx, vc }, -1));
    cr_assert(leat_ok(y) && leat_ok(z), "%s", leat_tape_errmsg(t));
    check_bits(leat_value(y).data, leat_value(z).data, 12, "outputs");
    leat_forward_with(leat_activation_layer(m, LEAT_RELU), vx, vc);
    cr_assert_eq(leat_tape_code(t), LEAT_ESTATE);
    leat_arena_free(&a);
    leat_model_free(m);
}

static const leat_module_type silent_type = { .name = "silent" };

Test(module, what_is_no_function_says_so)
{
    leat_model *m = leat_model_new(NULL);
    leat_tape *t = leat_model_tape(m, NULL);
    leat_forward(leat_module_new(m, &silent_type, sizeof(leat_module)), leat_scalar(t, 1));
    cr_assert_eq(leat_tape_code(t), LEAT_ESTATE);
    cr_assert_str_eq(leat_tape_errmsg(t), "silent is not a function");
    leat_model_free(m);
    m = leat_model_new(NULL);
    leat_sequential_add(leat_linear_layer(m, 1, 1), leat_linear_layer(m, 1, 1));
    CHECK_FAILED(m, LEAT_EARG, "linear is not a sequential");
    leat_model_free(m);
}

Test(module, frozen_parameters_get_no_gradient)
{
    leat_model *m = leat_model_new(NULL);
    holder *h = holder_new(m, false);
    leat_module *first = leat_linear_layer(m, 2, 3), *second = leat_linear_layer(m, 3, 1);
    holder_add(h, first, "first");
    holder_add(h, second, "second");
    leat_optim *sgd = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 0.1 });
    leat_tape *t = leat_model_tape(m, NULL);
    leat_param *w1 = leat_find_param(m, "first.weight"), *w2 = leat_find_param(m, "second.weight");
    for (int frozen = 1; frozen >= 0; frozen--) {
        leat_real before1 = w1->leaf.value[0], before2 = w2->leaf.value[0];
        leat_freeze(first, frozen);
        leat_tape_reset(t);
        leat_var y = leat_forward(&h->module, leat_full(t, LEAT_SHAPE(4, 2), 0.5));
        cr_assert_eq(leat_backward(leat_sum(y)), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(w1->leaf.has_grad, !frozen);
        cr_assert(w2->leaf.has_grad);
        cr_assert_eq(leat_optim_step(sgd), LEAT_OK);
        cr_assert_eq(w1->leaf.value[0] == before1, frozen);
        cr_assert(w2->leaf.value[0] != before2);
    }
    leat_model_free(m);
}

/* ---- summary and hash -------------------------------------------------------------------------------------------- */

Test(module, summary_is_aligned)
{
    leat_model *m = leat_model_new(NULL);
    holder *h = holder_new(m, true);
    holder_add(h, leat_mlp(m, 128, (int64_t[]){ 64, 0 }, 1000, LEAT_RELU), "net");
    leat_arena a;
    leat_arena_init(&a, NULL);
    char *text = leat_summary(m, &a);
    cr_assert_str_eq(text,
                     "(root)   holder                         1\n"
                     "net      sequential\n"
                     "net.0    linear       128 -> 64     8,256\n"
                     "net.1    relu\n"
                     "net.2    linear       64 -> 1000   65,000\n"
                     "total                              73,257\n",
                     "%s", text);
    leat_arena_free(&a);
    leat_model_free(m);
}

static uint64_t hash_of(uint64_t seed, int64_t width, const char *name, leat_real change)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed });
    holder *h = holder_new(m, true);
    holder_add(h, leat_linear_layer(m, 12 / width, width), name);
    h->state->value.data[2] += change;
    uint64_t hash = leat_model_hash(m);
    cr_assert_eq(hash, leat_model_hash(m));
    leat_model_free(m);
    return hash;
}

Test(module, hash_sees_everything)
{
    uint64_t hash = hash_of(1, 3, "a", 0);
    cr_assert_eq(hash, hash_of(1, 3, "a", 0));
    cr_assert_neq(hash, hash_of(2, 3, "a", 0));
    cr_assert_neq(hash, hash_of(1, 4, "a", 0));
    cr_assert_neq(hash, hash_of(1, 3, "b", 0));
    cr_assert_neq(hash, hash_of(1, 3, "a", 1));
}
