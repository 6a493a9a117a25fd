/* What the tests of flows over images share: a conditioner that sees all positions, bytes, files, training. */
#ifndef LEAT_FLOWS_IMAGE_SUPPORT_H
#define LEAT_FLOWS_IMAGE_SUPPORT_H

#include "support.h"

#include <unistd.h>

/* ---- a net of all numbers of a map of positions ------------------------------------------------------------------- */

typedef struct whole_net {
    leat_module module;
    leat_module *net;
    leat_shape row; /* [height, width, features that it gives] */
} whole_net;

static inline leat_var whole_forward(leat_module *m, leat_var x, leat_var context)
{
    const whole_net *w = (const whole_net *)m;
    leat_shape row = w->row;
    if (!leat_is_absent(context))
        x = leat_concat(2, (leat_var[]){ x, context }, -1);
    int64_t rows = leat_var_size(x, 0);
    leat_var flat = leat_reshape(x, LEAT_SHAPE(rows, row.size[0] * row.size[1] * leat_var_size(x, -1)));
    return leat_reshape(leat_forward(w->net, flat), LEAT_SHAPE(rows, row.size[0], row.size[1], row.size[2]));
}

static inline void whole_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_shape(w, "row", &((const whole_net *)m)->row);
    leat_part_put_module(w, "net", ((const whole_net *)m)->net);
}

static inline leat_module *whole_read(leat_part_reader *r, const leat_json *v);

static const leat_module_type whole_type = {
    .name = "whole",
    .forward = whole_forward,
    .write = whole_write,
    .read = whole_read,
};

static inline leat_module *whole_of(leat_model *m, leat_shape row, leat_module *net)
{
    whole_net *w = leat_module_new(m, &whole_type, sizeof *w);
    if (!w)
        return NULL;
    w->row = row;
    w->net = net;
    leat_attach(&w->module, net, "net");
    return &w->module;
}

static inline leat_module *whole_read(leat_part_reader *r, const leat_json *v)
{
    leat_shape row;
    leat_module *net = leat_part_shape(r, v, "row", &row) ? leat_part_module(r, v, "net") : NULL;
    return net ? whole_of(leat_part_model(r), row, net) : NULL;
}

/* From maps [height, width, in] to [height, width, out]. */
static inline leat_module *whole(leat_model *m, int64_t height, int64_t width, int64_t in, int64_t out)
{
    return whole_of(m, LEAT_SHAPE(height, width, out),
                    leat_mlp(m, height * width * in, (int64_t[]){ 5, 0 }, height * width * out, LEAT_TANH));
}

/* ---- data, files, training --------------------------------------------------------------------------------------- */

static inline leat_tensor test_bytes(uint64_t seed, int64_t rows, int64_t numbers)
{
    leat_tensor t = test_tensor(rows, numbers);
    leat_rng rng = leat_rng_new(seed, 78);
    for (int64_t i = 0; i < rows * numbers; i++)
        t.data[i] = (leat_real)floor(256 * leat_rng_uniform(&rng));
    return t;
}

static inline const char *image_path(const char *name)
{
    static char folder[] = "/tmp/leat-images-XXXXXX", path[100];
    static bool made;
    if (!made)
        cr_assert_not_null(mkdtemp(folder));
    made = true;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline leat_flow *reloaded(leat_flow *f)
{
    static const leat_module_type *const own[] = { &whole_type, NULL };
    leat_status s = { 0 };
    const char *path = image_path("model.safetensors");
    cr_assert_eq(leat_flow_save(f, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(path, &(leat_flow_load_opts){ .own = { .layers = own } }, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    cr_assert_eq(leat_model_hash(leat_flow_model(back)), leat_model_hash(leat_flow_model(f)));
    unlink(path);
    return back;
}

/* The file again with something else in its description. */
static inline void rewrite(const char *path, const char *from, const char *to)
{
    leat_status s = { 0 };
    leat_safetensors file;
    cr_assert_eq(leat_safetensors_read(path, test_arena(), &file, &s), LEAT_OK, "%s", s.message);
    for (int64_t i = 0; i < file.metadata_count; i++) {
        const char *text = file.metadata[i][1], *at = strstr(text, from);
        if (!at)
            continue;
        const char *(*pairs)[2] = (const char *(*)[2])file.metadata;
        pairs[i][1] = leat_arena_format(test_arena(), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        cr_assert_eq(leat_safetensors_write(path, &file, &s), LEAT_OK, "%s", s.message);
        return;
    }
    cr_assert_fail("nothing says %s", from);
}

/* Steps of Adam on those rows; the last gradient of all parameters, if asked for. */
static inline void train_on(leat_flow *f, leat_tensor x, leat_tensor context, int steps)
{
    leat_model *m = leat_flow_model(f);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.01 });
    leat_tape *t = test_tape(m);
    for (int i = 0; i < steps; i++) {
        leat_tape_reset(t);
        leat_var given = context.data ? leat_const(t, context) : (leat_var){ 0 };
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob_given(f, leat_const(t, x), given)));
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
}

static inline void expect_checked(leat_flow *f, leat_tensor x, leat_tensor context, const char *when)
{
    leat_flow_report r;
    leat_flow_check_opts o = { .context = context, .jacobian_rows = 2 };
    bool ok = leat_flow_check(f, x, &o, &r);
    cr_assert(ok, "%s: %s", when, r.reason);
    cr_assert_null(strstr(r.unseen, "the Jacobian, of"), "%s: %s", when, r.unseen);
}

#endif
