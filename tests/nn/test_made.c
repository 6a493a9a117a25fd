/* MADE: PyTorch's numbers, and the proof that outputs depend on what comes before them, all of it, and nothing else. */
#include "layer_helpers.h"

TestSuite(made, .init = setup, .fini = teardown);

static const int64_t order4[] = { 2, 0, 3, 1 }, order3[] = { 1, 0, 2 };

static const struct {
    const char *name;
    leat_made_opts o;
} cases[] = {
    { "made",
      { .features = 4,
        .widths = { 1, 1 },
        .context = 3,
        .hidden = { 9, 8 },
        .order = order4,
        .activation = LEAT_TANH } },
    { "made_plain", { .features = 3, .hidden = { 7 } } },
    { "made_shallow", { .features = 3, .widths = { 1, 1, 1 }, .order = order3 } },
    { "made_single", { .features = 1, .widths = { 1, 1 }, .context = 2, .hidden = { 4 } } },
};
enum { CASES = sizeof cases / sizeof *cases };

Test(made, is_pytorch_s)
{
    for (int i = 0; i < CASES; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_made(m, &cases[i].o);
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        cr_assert_eq(leat_model_seal(m), LEAT_OK);
        /* the masks are the module's own before they are loaded */
        leat_status s = { 0 };
        leat_safetensors own, state = case_part(&arena, &fixture, cases[i].name, "state");
        cr_assert_eq(leat_save(m, in_folder("own"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        cr_assert_eq(leat_safetensors_read(in_folder("own"), &arena, &own, &s), LEAT_OK, "%s", s.message);
        int masks = 0;
        for (int64_t j = 0; j < own.count; j++) {
            if (!strstr(own.entries[j].name, "mask"))
                continue;
            leat_tensor want = find_tensor(&state, own.entries[j].name);
            check_bits(own.entries[j].tensor.data, want.data, leat_shape_count(&want.shape), own.entries[j].name);
            masks++;
        }
        cr_assert_eq(masks, own.count / 3);
        load_case(m, &arena, &fixture, cases[i].name);
        check_case(net, leat_model_tape(m, NULL), &arena, &fixture, cases[i].name);
        leat_model_free(m);
    }
}

Test(made, learns_as_pytorch_does)
{
    leat_module *net = leat_made(model, &cases[0].o);
    load_case(model, &arena, &fixture, "made");
    train_case(net, &fixture, "made");
}

Test(made, gradients_are_those_of_differences)
{
    for (int i = 0; i < CASES; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_made_opts o = cases[i].o;
        o.activation = LEAT_TANH;
        leat_tensor in[] = { make_data(&arena, LEAT_SHAPE(3, o.features), 1),
                             make_data(&arena, LEAT_SHAPE(3, o.context), 2) };
        check_gradients(leat_made(m, &o), o.context ? 2 : 1, in);
        leat_model_free(m);
    }
}

/* ---- the autoregressive property --------------------------------------------------------------------------------- */

static const int64_t order7[] = { 6, 2, 4, 0, 1, 5, 3 };

static const leat_made_opts nets[] = {
    { .features = 1 },
    { .features = 1, .hidden = { 3, 3 } },
    { .features = 1, .context = 1 },
    { .features = 1, .widths = { 1, 1, 1 }, .context = 2, .hidden = { 3, 3 } },
    { .features = 2, .hidden = { 1 } },
    { .features = 2, .hidden = { 2 }, .context = 1 },
    { .features = 4, .widths = { 1, 1 }, .order = order4 },
    { .features = 4, .widths = { 1, 1 }, .order = order4, .context = 2 },
    { .features = 4, .widths = { 1, 1, 1 }, .hidden = { 3 }, .order = order4 },
    { .features = 4, .widths = { 1, 1, 1 }, .hidden = { 4 }, .order = order4, .context = 3 },
    { .features = 7, .widths = { 1, 1 }, .hidden = { 6, 11, 20 }, .order = order7 },
    { .features = 7, .widths = { 1, 1 }, .hidden = { 7, 9, 8 }, .order = order7, .context = 1 },
    { .features = 7, .hidden = { 16 } },
    { .features = 4, .widths = { 3 }, .hidden = { 6 }, .order = order4 },
    { .features = 3, .widths = { 2, 1, 4 }, .hidden = { 5, 6 }, .order = order3, .context = 1 },
    { .features = 1, .hidden = { 3 }, .blocks = 1 },
    { .features = 4, .widths = { 1, 1 }, .hidden = { 5 }, .blocks = 2, .order = order4 },
    { .features = 7, .widths = { 1, 2 }, .hidden = { 9 }, .blocks = 3, .order = order7, .context = 2 },
    { .features = 3, .hidden = { 4 }, .blocks = 15, .order = order3 },
};

/* The groups stand one after the other; in a group of width w, w columns for each feature. */
static int64_t feature_of(const leat_made_opts *o, int64_t column)
{
    for (int g = 0; g < LEAT_MAX_GROUPS && o->widths[g]; g++) {
        if (column < o->features * o->widths[g])
            return column / o->widths[g];
        column -= o->features * o->widths[g];
    }
    return column;
}

static int64_t columns_of(const leat_made_opts *o)
{
    int64_t each = 0;
    for (int g = 0; g < LEAT_MAX_GROUPS; g++)
        each += o->widths[g];
    return o->features * (each ? each : 1);
}

/* Row by row of the Jacobian, summed over the batch: zero exactly where the order forbids, and nowhere else. */
/* The first unit has 3 numbers; each further one and each output, of 8 groups for 2 features, has 2. */
Test(made, has_as_many_layers_as_are_allowed)
{
    leat_made_opts o = { .features = 2, .widths = { 1, 1, 1, 1, 1, 1, 1, 1 } };
    for (int i = 0; i < LEAT_MAX_HIDDEN; i++)
        o.hidden[i] = 1;
    leat_model *m = leat_model_new(NULL);
    leat_made(m, &o);
    cr_assert_eq(leat_param_count(m), 3 + 2 * (LEAT_MAX_HIDDEN - 1) + 2 * 2 * LEAT_MAX_GROUPS);
    leat_model_free(m);
}

Test(made, the_jacobian_is_zero_exactly_where_the_order_forbids)
{
    for (size_t n = 0; n < sizeof nets / sizeof *nets; n++) {
        const leat_made_opts *o = &nets[n];
        leat_made_opts with = *o;
        with.activation = LEAT_SOFTPLUS; /* whose derivative is never 0 */
        leat_model *m = leat_model_new(&(leat_model_opts){ .seed = n });
        leat_module *net = leat_made(m, &with);
        leat_tape *t = leat_model_tape(m, NULL);
        leat_var x = leat_input(t, make_data(&arena, LEAT_SHAPE(2, o->features), 1)), c = { 0 };
        if (o->context)
            c = leat_input(t, make_data(&arena, LEAT_SHAPE(2, o->context), 2));
        leat_var y = leat_forward_with(net, x, c);
        int64_t columns = leat_var_size(y, 1);
        cr_assert(leat_ok(y), "%s", leat_tape_errmsg(t));
        cr_assert_eq(columns, columns_of(o));
        for (int64_t i = 0; i < columns; i++) {
            leat_real ones[2] = { 1, 1 };
            leat_clear_grads(t);
            cr_assert_eq(leat_vjp(leat_slice(y, 1, i, 1), (leat_tensor){ ones, LEAT_SHAPE(2, 1) }), LEAT_OK);
            int64_t feature = feature_of(o, i);
            for (int64_t j = 0; j < 2 * o->features; j++) {
                int64_t of = j % o->features;
                bool before = o->order ? o->order[of] < o->order[feature] : of < feature;
                const leat_real *dx = leat_grad(x).data;
                cr_assert_eq(dx && dx[j] != 0, before, "net %zu: output %lld, feature %lld", n, (long long)i,
                             (long long)of);
            }
            for (int64_t j = 0; j < 2 * o->context; j++)
                cr_assert(leat_grad(c).data[j] != 0, "net %zu: output %lld, context", n, (long long)i);
        }
        leat_model_free(m);
    }
}

/* Changing a feature leaves every output at its place and before the same to the last bit. */
Test(made, earlier_outputs_keep_their_bits)
{
    leat_made_opts o = { .features = 7, .widths = { 1, 1 }, .hidden = { 16, 16 }, .order = order7 };
    leat_module *net = leat_made(model, &o);
    leat_tensor x = make_data(&arena, LEAT_SHAPE(1, 7), 1);
    leat_var before = leat_forward(net, leat_const(tape, x));
    for (int j = 0; j < 7; j++) {
        leat_real was = x.data[j];
        x.data[j] = (leat_real)1e6;
        leat_var after = leat_forward(net, leat_const(tape, x));
        x.data[j] = was;
        for (int i = 0; i < 14; i++) {
            bool same = leat_value(before).data[i] == leat_value(after).data[i];
            cr_assert(same || order7[j] < order7[i % 7], "output %d, feature %d", i, j);
        }
    }
}

/* ---- one feature after the other ---------------------------------------------------------------------------------- */

/* x_j = y_j + tanh(sum of its columns); the carried variable is the last feature. */
static leat_var add_columns(void *user, leat_var y, leat_var columns, leat_var *carried)
{
    ++*(int *)user;
    *carried = leat_add(y, leat_tanh(leat_sum_axes(columns, 1, (int[]){ 1 }, true)));
    return *carried;
}

static leat_var two_columns(void *user, leat_var y, leat_var columns, leat_var *carried)
{
    (void)user, (void)columns, (void)carried;
    return leat_concat(2, (leat_var[]){ y, y }, 1);
}

/* A whole forward pass over what was found gives each feature the very columns that it was found with. */
Test(made, ancestral_solves_what_forward_says)
{
    enum { ROWS = 5 };
    for (size_t n = 0; n < 2 * sizeof nets / sizeof *nets; n++) {
        const leat_made_opts *o = &nets[n / 2];
        leat_model *m = leat_model_new(&(leat_model_opts){ .seed = n });
        leat_module *net = leat_made(m, o);
        leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .values_only = n % 2 });
        leat_var y = leat_const(t, make_data(&arena, LEAT_SHAPE(ROWS, o->features), 1)), c = { 0 }, last = { 0 };
        int calls = 0;
        if (o->context)
            c = leat_const(t, make_data(&arena, LEAT_SHAPE(ROWS, o->context), 2));
        leat_var x = leat_made_ancestral(net, y, c, add_columns, &calls, &last);
        leat_var columns = leat_forward_with(net, x, c);
        cr_assert(leat_ok(columns), "%s", leat_tape_errmsg(t));
        cr_assert_eq(calls, o->features);
        for (int64_t j = 0; j < o->features; j++) {
            int64_t list[8], count = 0;
            for (int64_t i = 0; i < leat_var_size(columns, 1); i++) {
                if (feature_of(o, i) == j)
                    list[count++] = i;
            }
            leat_var own = leat_index_select(columns, 1, (leat_index){ list, count });
            leat_var sum = leat_sum_axes(own, 1, (int[]){ 1 }, true);
            leat_tensor want = leat_value(leat_add(leat_slice(y, 1, j, 1), leat_tanh(sum)));
            leat_tensor got = leat_value(leat_slice(x, 1, j, 1));
            check_bits(got.data, want.data, ROWS, "x");
            if ((o->order ? o->order[j] : j) == o->features - 1)
                check_bits(leat_value(last).data, want.data, ROWS, "carried");
        }
        leat_model_free(m);
    }
}

Test(made, ancestral_refuses_what_does_not_fit)
{
    leat_module *net = leat_made(model, &nets[10]);
    leat_var none = { 0 }, y = leat_full(tape, LEAT_SHAPE(4, 7), 1);
    cr_assert_not(leat_ok(leat_made_ancestral(net, y, none, two_columns, NULL, &none)));
    cr_assert_str_eq(leat_tape_errmsg(tape), "a feature of 4 rows is given as [4,2]");
    leat_tape_reset(tape);
    leat_made_ancestral(net, leat_full(tape, LEAT_SHAPE(4, 6), 1), none, two_columns, NULL, &none);
    cr_assert_str_eq(leat_tape_errmsg(tape), "made [4,6]: the layer takes 7 features");
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

Test(made, round_trip_and_summary)
{
    leat_made_opts o = { .features = 3, .widths = { 1, 1 }, .context = 1, .hidden = { 5 } };
    leat_model *other = leat_model_new(&(leat_model_opts){ .seed = 5 });
    check_round_trip(leat_made(model, &o), leat_made(other, &o), make_data(&arena, LEAT_SHAPE(4, 3), 1),
                     make_data(&arena, LEAT_SHAPE(4, 1), 2));
    leat_model_free(other);
    char *text = leat_summary(model, &arena);
    cr_assert_str_eq(text,
                     "(root)   made            3 -> 2 x 3\n"
                     "net      sequential\n"
                     "net.0    masked_linear   4 -> 5       25\n"
                     "net.1    relu\n"
                     "net.2    masked_linear   5 -> 6       36\n"
                     "total                                 61\n",
                     "%s", text);
}

enum { HALF, OWN_FEATURE, LATER_FEATURE, NOT_A_NUMBER, NONE, TURNED };
static const struct {
    int what;
    const char *text; /* NULL: is loaded */
} masks[] = {
    { HALF, "file: net.2: the mask holds 0.5, neither 0 nor 1" },
    { NOT_A_NUMBER, "file: net.0: the mask holds nan, neither 0 nor 1" },
    { OWN_FEATURE, "file: the masks let output 0 see a feature at place 0, its own is 0" },
    { LATER_FEATURE, "file: the masks let output 1 see a feature at place 1, its own is 1" },
    { NONE, NULL },
    { TURNED, NULL },
};

/* Of a net of three features in order, with hidden units of the degrees 1, 2, 1, 2. */
static void spoil(const leat_safetensors *f, int what)
{
    leat_real *first = leat_safetensors_find(f, "net.0.mask")->data;
    leat_real *last = leat_safetensors_find(f, "net.2.mask")->data;
    switch (what) {
    case HALF:
        last[7] = (leat_real)0.5;
        break;
    case NOT_A_NUMBER:
        first[0] = (leat_real)NAN;
        break;
    case OWN_FEATURE: /* output 0 reads a unit that sees feature 0 */
        last[0] = 1;
        break;
    case LATER_FEATURE: /* unit 0, which output 1 reads, sees feature 1 */
        first[1] = 1;
        break;
    case NONE:
        memset(first, 0, 12 * sizeof *first);
        break;
    case TURNED: /* degrees 2, 1, 1, 2 */
        first[1] = 1;
        first[4] = 0;
        last[4] = 0;
        last[5] = 1;
        break;
    }
}

Test(made, masks_from_a_file)
{
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_made_opts o = { .features = 3, .hidden = { 4 } };
        leat_made(m, &o);
        leat_status s = { 0 };
        leat_safetensors f;
        cr_assert_eq(leat_save(m, in_folder("made"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        cr_assert_eq(leat_safetensors_read(in_folder("made"), &arena, &f, &s), LEAT_OK, "%s", s.message);
        spoil(&f, masks[i].what);
        uint64_t hash = leat_model_hash(m);
        leat_code code = leat_load_tensors(m, &f, "file", &s);
        cr_assert_eq(code, masks[i].text ? LEAT_EFORMAT : LEAT_OK, "%s", s.message);
        cr_assert_str_eq(s.message, masks[i].text ? masks[i].text : "");
        cr_assert_eq(leat_model_hash(m) == hash, masks[i].text != NULL);
        leat_model_free(m);
    }
}

/* A block adds what it is given: unit 0, whose own masks in the block are empty, hands feature 1 on to both outputs. */
Test(made, masks_from_a_file_around_a_block)
{
    leat_model *m = leat_model_new(NULL);
    leat_made(m, &(leat_made_opts){ .features = 2, .hidden = { 2 }, .blocks = 1 });
    leat_status s = { 0 };
    leat_safetensors f;
    cr_assert_eq(leat_save(m, in_folder("made"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(in_folder("made"), &arena, &f, &s), LEAT_OK, "%s", s.message);
    for (int64_t i = 0; i < f.count; i++) {
        bool first = strcmp(f.entries[i].name, "initial_layer.mask") == 0;
        bool last = strcmp(f.entries[i].name, "final_layer.mask") == 0;
        leat_real *mask = f.entries[i].tensor.data;
        if (strstr(f.entries[i].name, ".mask"))
            mask[0] = 0, mask[1] = first, mask[2] = last, mask[3] = 0;
    }
    cr_assert_eq(leat_load_tensors(m, &f, "file", &s), LEAT_EFORMAT);
    cr_assert_str_eq(s.message, "file: the masks let output 1 see a feature at place 1, its own is 1");
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const int64_t twice[] = { 0, 2, 2 }, outside[] = { 0, 1, 3 }, negative[] = { 0, -1, 2 };
static const struct {
    leat_made_opts o;
    const char *text;
} refused[] = {
    { { .features = 0 }, "made: 0 features, and 0 of a context" },
    { { .features = 3, .widths = { -1 } }, "made: a group of -1 numbers for each feature" },
    { { .features = 3, .context = -1 }, "and -1 of a context" },
    { { .features = 3, .hidden = { 4, -5 } }, "made: -5 hidden units" },
    { { .features = 3, .hidden = { 4, 5 }, .blocks = 1 }, "made: 5 hidden units, and 4 in front of the blocks" },
    { { .features = 3, .blocks = 2 }, "made: 2 blocks of 0 units" },
    { { .features = 3, .hidden = { 4 }, .blocks = -1 }, "made: -1 blocks" },
    { { .features = 3, .hidden = { 4 }, .blocks = 16 }, "made: 16 blocks" },
    { { .features = 3, .activation = (leat_activation)99 }, "made: there is no activation number 99" },
    { { .features = 3, .order = twice },
      "made: the order is no permutation: feature 2 has the place 2, which is taken" },
    { { .features = 3, .order = outside }, "made: the order is no permutation: feature 2 has the place 3" },
    { { .features = 3, .order = negative }, "made: the order is no permutation: feature 1 has the place -1" },
    { { .features = INT64_MAX }, "made: 9223372036854775807 features" },
};

Test(made, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_made(m, &refused[i].o));
        CHECK_FAILED(m, LEAT_EARG, refused[i].text);
        leat_model_free(m);
    }
}

Test(made, inputs_that_do_not_fit)
{
    holder *h = holder_new(model, false);
    leat_module *net = leat_made(model, &(leat_made_opts){ .features = 3, .context = 2 });
    leat_module *plain = leat_made(model, &(leat_made_opts){ .features = 3 });
    holder_add(h, net, "net");
    holder_add(h, plain, "plain");
    leat_var x = leat_full(tape, LEAT_SHAPE(4, 3), 1);
    leat_forward(net, x);
    cr_assert_str_eq(leat_tape_errmsg(tape), "net: made needs a context");
    leat_tape_reset(tape);
    x = leat_full(tape, LEAT_SHAPE(4, 3), 1);
    leat_forward_with(plain, x, x);
    cr_assert_str_eq(leat_tape_errmsg(tape), "plain: made takes no context");
    leat_tape_reset(tape);
    leat_forward(plain, leat_full(tape, LEAT_SHAPE(4, 2), 1));
    cr_assert_str_eq(leat_tape_errmsg(tape), "plain: made [4,2]: the layer takes 3 features");
    leat_tape_reset(tape);
    leat_forward_with(net, leat_full(tape, LEAT_SHAPE(4, 3), 1), leat_full(tape, LEAT_SHAPE(5, 2), 1));
    cr_assert(starts_with(leat_tape_errmsg(tape), "net.net: concat [4,3] x [5,2]"), "%s", leat_tape_errmsg(tape));
}

static leat_module *build_large(leat_model *m)
{
    return leat_made(
        m, &(leat_made_opts){ .features = 300, .widths = { 1, 1, 1 }, .context = 50, .hidden = { 400, 500 } });
}

Test(made, out_of_memory_is_a_status)
{
    check_out_of_memory(build_large, LEAT_SHAPE(20, 300), 50);
}
