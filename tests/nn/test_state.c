/* Saving and loading: round trips, PyTorch's files, refusals that name what is wrong and change nothing. */
#include "nn_helpers.h"

TestSuite(state, .init = make_folder, .fini = remove_folder);

static leat_model *make_model(uint64_t seed, holder **root)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed });
    *root = holder_new(m, true);
    holder *inner = holder_new(m, true);
    holder_add(inner, leat_mlp(m, 3, (int64_t[]){ 8, 0 }, 2, LEAT_RELU), "net");
    holder_add(*root, &inner->module, "layers.0");
    return m;
}

Test(state, round_trip_gives_the_same_bits)
{
    holder *root, *other_root;
    leat_model *m = make_model(1, &root), *other = make_model(2, &other_root);
    leat_status s = { 0 };
    root->state->value.data[1] = 40;
    ((holder *)root->child[0])->scale->init = leat_init_constant(0.1);
    cr_assert_neq(leat_model_hash(m), leat_model_hash(other));
    cr_assert_eq(leat_save(m, in_folder("m.safetensors"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_load(other, in_folder("m.safetensors"), &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_model_hash(m), leat_model_hash(other));
    cr_assert_eq(other_root->derived, 44);
    cr_assert_eq(other_root->loads, 1);
    cr_assert_eq(((holder *)other_root->child[0])->derived, 6);
    cr_assert_lt(((holder *)other_root->child[0])->loaded_at, other_root->loaded_at); /* children first */
    leat_model_free(m);
    leat_model_free(other);
}

Test(state, files_hold_names_in_order_and_metadata)
{
    holder *root;
    leat_model *m = make_model(1, &root);
    leat_status s = { 0 };
    const char *metadata[][2] = { { "model", "{\"dim\":2}" }, { "note", "a \"quoted\" text" } };
    cr_assert_eq(leat_save(m, in_folder("m"), 2, metadata, &s), LEAT_OK, "%s", s.message);
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f;
    cr_assert_eq(leat_safetensors_read(in_folder("m"), &a, &f, &s), LEAT_OK, "%s", s.message);
    static const char *const names[] = { "scale",
                                         "state",
                                         "layers.0.scale",
                                         "layers.0.state",
                                         "layers.0.net.0.weight",
                                         "layers.0.net.0.bias",
                                         "layers.0.net.2.weight",
                                         "layers.0.net.2.bias" };
    cr_assert_eq(f.count, 8);
    for (int i = 0; i < 8; i++)
        cr_assert_str_eq(f.entries[i].name, names[i]);
    cr_assert_eq(f.metadata_count, 2);
    cr_assert_str_eq(leat_safetensors_metadata(&f, "model"), "{\"dim\":2}");
    cr_assert_str_eq(leat_safetensors_metadata(&f, "note"), "a \"quoted\" text");
    leat_arena_free(&a);
    leat_model_free(m);
}

Test(state, pytorch_s_state_dict_loads)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "mlp.safetensors");
    leat_model *m = leat_model_new(NULL);
    leat_status s = { 0 };
    leat_mlp(m, 3, (int64_t[]){ 8, 5, 0 }, 2, LEAT_RELU);
    cr_assert_eq(leat_load(m, fixture_path("mlp.safetensors"), &s), LEAT_OK, "%s", s.message);
    for (int64_t i = 0; i < f.count; i++) {
        leat_tensor t = f.entries[i].tensor;
        check_bits(leat_find_param(m, f.entries[i].name)->leaf.value, t.data, leat_shape_count(&t.shape),
                   f.entries[i].name);
    }
    leat_model_free(m);
    leat_arena_free(&a);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

enum { MISSING, EXTRA, WRONG_SHAPE, WRONG_RANK, REFUSED };
static const struct {
    int what;
    leat_code code;
    const char *message;
} refusals[] = {
    { MISSING, LEAT_EFORMAT, "some file: there is no 'layers.0.net.2.weight', which the model has" },
    { EXTRA, LEAT_EFORMAT, "some file: 'more' is not in the model" },
    { WRONG_SHAPE, LEAT_ESHAPE, "some file: 'layers.0.net.0.bias' is [4]; the model's is [8]" },
    { WRONG_RANK, LEAT_ESHAPE, "some file: 'scale' is [1]; the model's is []" },
    { REFUSED, LEAT_EFORMAT, "some file: layers.0: a state of 0.5 is not whole" },
};

/* The tensors of a model, in an arena, as a file would give them. */
static leat_safetensors tensors_of(leat_model *m, leat_arena *a)
{
    leat_safetensors f;
    leat_status s = { 0 };
    cr_assert_eq(leat_save(m, in_folder("t"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(in_folder("t"), a, &f, &s), LEAT_OK, "%s", s.message);
    leat_safetensors_entry *more = leat_arena_alloc(a, (size_t)(f.count + 1) * sizeof *more);
    memcpy(more, f.entries, (size_t)f.count * sizeof *more);
    f.entries = more;
    f.by_name = f.by_key = NULL; /* as the lists are changed */
    return f;
}

static leat_safetensors_entry *entry_of(leat_safetensors *f, const char *name)
{
    for (int64_t i = 0; i < f->count; i++) {
        if (strcmp(f->entries[i].name, name) == 0)
            return &f->entries[i];
    }
    cr_assert(false, "no %s", name);
    return NULL;
}

static void spoil(leat_safetensors *f, int what)
{
    static leat_real number = 1;
    switch (what) {
    case MISSING:
        *entry_of(f, "layers.0.net.2.weight") = f->entries[--f->count];
        break;
    case EXTRA:
        f->entries[f->count++] = (leat_safetensors_entry){ "more", { &number, leat_shape_of(0, NULL) }, NULL };
        break;
    case WRONG_SHAPE:
        entry_of(f, "layers.0.net.0.bias")->tensor.shape = LEAT_SHAPE(4);
        break;
    case WRONG_RANK:
        entry_of(f, "scale")->tensor.shape = LEAT_SHAPE(1);
        break;
    case REFUSED:
        entry_of(f, "layers.0.state")->tensor.data[2] = (leat_real)0.5;
        break;
    }
}

/* As save_model of PyTorch's safetensors writes modules that share a buffer. */
Test(state, a_tensor_written_once_serves_all_its_names)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    holder *root, *source_root;
    leat_model *m = make_model(1, &root), *source = make_model(2, &source_root);
    source_root->state->value.data[0] = 100;
    leat_safetensors f = tensors_of(source, &a);
    const char *shared[][2] = { { "layers.0.state", "state" } };
    *entry_of(&f, "layers.0.state") = f.entries[--f.count];
    leat_status s = { 0 };
    cr_assert_eq(leat_load_tensors(m, &f, "some file", NULL), LEAT_EFORMAT);
    f.metadata = shared;
    f.metadata_count = 1;
    cr_assert_eq(leat_load_tensors(m, &f, "some file", &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(((holder *)root->child[0])->state->value.data[0], 100);
    leat_model_free(m);
    leat_model_free(source);
    leat_arena_free(&a);
}

Test(state, what_does_not_fit_is_named_and_changes_nothing)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        leat_arena a;
        leat_arena_init(&a, NULL);
        holder *root, *source_root;
        leat_model *m = make_model(1, &root), *source = make_model(2, &source_root);
        source_root->state->value.data[0] = 100;
        leat_safetensors f = tensors_of(source, &a);
        spoil(&f, refusals[i].what);
        uint64_t hash = leat_model_hash(m);
        leat_status s = { 0 };
        holder_loaded(&root->module, NULL);
        cr_assert_eq(leat_load_tensors(m, &f, "some file", &s), refusals[i].code, "%s", s.message);
        cr_assert_eq(s.code, refusals[i].code);
        cr_assert_str_eq(s.message, refusals[i].message);
        cr_assert_eq(leat_model_hash(m), hash);
        cr_assert_eq(root->derived, 6); /* rebuilt from the old values, if it was rebuilt at all */
        cr_assert_eq(leat_model_code(m), LEAT_OK);
        cr_assert_eq(leat_load_tensors(m, &f, "some file", NULL), refusals[i].code);
        leat_model_free(m);
        leat_model_free(source);
        leat_arena_free(&a);
    }
}

Test(state, files_that_cannot_be_read_or_written)
{
    holder *root;
    leat_model *m = make_model(1, &root);
    uint64_t hash = leat_model_hash(m);
    leat_status s = { 0 }, t = { 0 };
    cr_assert_eq(leat_load(m, in_folder("absent"), &s), LEAT_EIO);
    cr_assert(strstr(s.message, "absent"), "%s", s.message);
    cr_assert_eq(leat_save(m, in_folder("no/such/folder"), 0, NULL, &t), LEAT_EIO);
    cr_assert(strstr(t.message, "no/such/folder"), "%s", t.message);
    cr_assert_eq(leat_model_hash(m), hash);
    cr_assert_eq(leat_model_code(m), LEAT_OK);
    leat_model_free(m);
}

Test(state, a_failed_model_is_neither_saved_nor_loaded)
{
    leat_model *m = leat_model_new(NULL);
    leat_linear_layer(m, -1, 2);
    leat_status s = { 0 }, t = { 0 };
    cr_assert_eq(leat_save(m, in_folder("m"), 0, NULL, &s), LEAT_EARG);
    cr_assert_eq(leat_load(m, fixture_path("mlp.safetensors"), &t), LEAT_EARG);
    cr_assert_str_eq(s.message, "linear: -1 -> 2 features");
    cr_assert_str_eq(t.message, "linear: -1 -> 2 features");
    leat_model_free(m);
}

/* A module that accepts values once: putting the old ones back fails, and so must the model. */
static leat_code stubborn_loaded(leat_module *m, leat_status *s)
{
    (void)m;
    return leat_fail(s, LEAT_ENOMEM, "never");
}

static const leat_module_type stubborn_type = { .name = "stubborn", .loaded = stubborn_loaded };

Test(state, a_model_that_cannot_be_restored_fails)
{
    leat_model *m = leat_model_new(NULL);
    leat_module_new(m, &stubborn_type, sizeof(leat_module));
    leat_status s = { 0 };
    cr_assert_eq(leat_load_tensors(m, &(leat_safetensors){ 0 }, "x", &s), LEAT_ENOMEM);
    cr_assert_str_eq(s.message, "x: never");
    CHECK_FAILED(m, LEAT_ENOMEM, "the old values could not be restored: never");
    leat_model_free(m);
}

static void say_nothing(leat_module *m, leat_visitor *v)
{
    (void)m, (void)v;
}

static const leat_module_type silent_type = { .name = "silent", .visit = say_nothing };
Test(state, a_parameter_that_no_visit_reports_is_refused)
{
    leat_model *m = leat_model_new(NULL);
    leat_module *module = leat_module_new(m, &silent_type, sizeof *module);
    leat_param_new(module, "hidden", LEAT_SHAPE(2), leat_init_zeros());
    cr_assert_eq(leat_model_seal(m), LEAT_ESTATE);
    CHECK_FAILED(m, LEAT_ESTATE, "hidden: the visit function");
    leat_model_free(m);
}
