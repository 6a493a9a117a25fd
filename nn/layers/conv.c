/*
 * Convolutions over images, and Glow's network of them. In every form the scales of the outputs are put into the weight
 * first, which is small, so that no pass over the images is spent on them: exp(s) conv(x; w) = conv(x; exp(s) w).
 */
#include "layers.h"
#include "../module_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct conv {
    leat_module module;
    leat_conv_opts o;
    leat_param *weight, *norms; /* norms: weight_g, and weight is weight_v; or NULL */
    leat_actnorm_parts scale;   /* the bias, or NULL; log_scale, or NULL; initialized of actnorm alone */
} conv;

static const char *const forms[] = { "plain", "weight_norm", "actnorm", "zeros" };
enum { FORMS = sizeof forms / sizeof *forms, MOST = 1 << 20 }; /* MOST: of stride and padding */

/*
 * The border's feature is 1 outside of the image and 0 inside: 1 everywhere, less one that is 1 inside and 0 where it is
 * padded. So it is a feature of -1s beside x and a sum in the bias; and where there are few outputs, one image of its own,
 * which is added to them.
 */
static leat_var convolve(const conv *c, leat_var x, leat_var w, leat_var bias, leat_activation f)
{
    const leat_conv_opts *o = &c->o;
    leat_conv2d_opts how = { .stride = { (int)o->stride[0], (int)o->stride[1] },
                             .padding = { (int)o->padding[0], (int)o->padding[1] },
                             .activation = f };
    if (!o->border)
        return leat_conv2d(x, w, bias, &how);
    leat_var border = leat_slice(w, 1, o->in, 1), sums = leat_sum_axes(border, 3, (int[]){ 1, 2, 3 }, false);
    bias = leat_is_absent(bias) ? sums : leat_add(bias, sums);
    if (o->in < o->out)
        return leat_conv2d(leat_pad(x, -1, 0, 1, -1), w, bias, &how);
    leat_shape image = leat_var_shape(x);
    image.size[0] = image.size[3] = 1;
    how.activation = LEAT_IDENTITY;
    leat_var inside = leat_conv2d(leat_full(x.tape, image, -1), border, bias, &how);
    leat_var y = leat_conv2d(x, leat_slice(w, 1, 0, o->in), (leat_var){ 0 }, &how);
    return leat_activate(leat_add(y, inside), f);
}

/* Scale and shift from what the convolution makes of this batch. */
static bool start(const conv *c, leat_var x)
{
    leat_tape_mark mark = leat_tape_save(x.tape);
    bool recording = leat_tape_set_recording(x.tape, false);
    bool ok =
        leat_actnorm_start(&c->scale, convolve(c, x, leat_use(x.tape, c->weight), (leat_var){ 0 }, LEAT_IDENTITY));
    leat_tape_keep(x.tape, mark, 0, NULL);
    leat_tape_set_recording(x.tape, recording);
    return ok;
}

static leat_var run(conv *c, leat_var x, leat_activation f)
{
    leat_tape *t = x.tape;
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    if (!leat_fits(&c->module, x, c->o.in, (leat_var){ 0 }, 0))
        return (leat_var){ .tape = t };
    if (shape.rank != 4)
        return leat_tape_fail(t, LEAT_ESHAPE, "conv %s: not [batch, height, width, features]",
                              leat_shape_print(&shape, text));
    if (c->scale.initialized && leat_actnorm_waits(&c->scale, t) && !start(c, x))
        return (leat_var){ .tape = t };
    leat_var w = leat_use(t, c->weight), bias = { 0 };
    if (c->scale.bias)
        bias = leat_use(t, c->scale.bias);
    if (c->norms)
        w = leat_weight_of_norm(w, leat_use(t, c->norms));
    if (c->scale.log_scale) {
        leat_var s = leat_use(t, c->scale.log_scale);
        s = leat_exp(c->o.form == LEAT_CONV_ZEROS ? leat_mul_scalar(s, 3) : s);
        w = leat_mul(w, leat_reshape(s, LEAT_SHAPE(c->o.out, 1, 1, 1)));
        bias = c->o.form == LEAT_CONV_ZEROS ? leat_mul(bias, s) : bias;
    }
    return convolve(c, x, w, bias, f);
}

static leat_var conv_forward(leat_module *m, leat_var x, leat_var context)
{
    return run((conv *)m, leat_join_context(x, context), LEAT_IDENTITY);
}

bool leat_is_conv(const leat_module *m)
{
    return m->type == &leat_conv_type;
}

leat_var leat_conv_with(leat_module *m, leat_var x, leat_activation f)
{
    leat_tape *t = x.tape;
    const leat_scope *was = leat_tape_enter(t, &m->scope);
    leat_var y = run((conv *)m, x, f);
    leat_tape_enter(t, was);
    return y;
}

static leat_code conv_loaded(leat_module *m, leat_status *s)
{
    const conv *c = (const conv *)m;
    return c->scale.initialized ? leat_actnorm_loaded(&c->scale, s) : LEAT_OK;
}

static void conv_describe(const leat_module *m, char *text, size_t size)
{
    const leat_conv_opts *o = &((const conv *)m)->o;
    snprintf(text, size, "%lld -> %lld, %lldx%lld, %s", (long long)o->in, (long long)o->out, (long long)o->kernel[0],
             (long long)o->kernel[1], forms[o->form]);
}

enum { PAIRS = 3 };
static const char *const pair_names[PAIRS] = { "kernel", "stride", "padding" };

static void conv_write(const leat_module *m, leat_part_writer *w)
{
    const leat_conv_opts *o = &((const conv *)m)->o;
    const int64_t *const pairs[PAIRS] = { o->kernel, o->stride, o->padding };
    leat_part_put_int(w, "in", o->in);
    leat_part_put_int(w, "out", o->out);
    for (int i = 0; i < PAIRS; i++) {
        leat_shape two = leat_shape_of(2, pairs[i]);
        leat_part_put_shape(w, pair_names[i], &two);
    }
    leat_part_put_text(w, "form", forms[o->form]);
    leat_part_put_bool(w, "no_bias", o->no_bias);
    leat_part_put_bool(w, "border", o->border);
}

static leat_module *conv_read(leat_part_reader *r, const leat_json *v)
{
    leat_conv_opts o = { .in = leat_part_size(r, v, "in", 0),
                         .out = leat_part_size(r, v, "out", 1),
                         .no_bias = leat_part_flag(v, "no_bias"),
                         .border = leat_part_flag(v, "border") };
    int64_t *const pairs[PAIRS] = { o.kernel, o.stride, o.padding };
    const char *form = leat_json_text(leat_json_get(v, "form"));
    for (int i = 0; i < PAIRS && !r->status->code; i++) {
        leat_shape pair;
        if (leat_part_shape(r, v, pair_names[i], &pair) && pair.rank != 2)
            leat_part_fail(r, LEAT_EFORMAT, "'%s' is not a pair", pair_names[i]);
        memcpy(pairs[i], pair.size, sizeof o.kernel);
    }
    while ((int)o.form < FORMS && form && strcmp(form, forms[o.form]) != 0)
        o.form++;
    if (!form || (int)o.form == FORMS)
        leat_part_fail(r, LEAT_EFORMAT, "'form' is none of a convolution's");
    return r->status->code ? NULL : leat_conv_layer(r->model, &o);
}

const leat_module_type leat_conv_type = {
    .name = "conv",
    .forward = conv_forward,
    .loaded = conv_loaded,
    .describe = conv_describe,
    .write = conv_write,
    .read = conv_read,
};

/* Fills in the defaults. */
static leat_code check(leat_model *m, leat_conv_opts *o)
{
    bool ok = leat_is_size(o->in, o->border ? 0 : 1) && leat_is_size(o->out, 1);
    for (int i = 0; i < 2; i++) {
        o->kernel[i] = o->kernel[i] ? o->kernel[i] : i ? o->kernel[0] : 1;
        o->stride[i] = o->stride[i] ? o->stride[i] : i ? o->stride[0] : 1;
        ok = ok && leat_is_size(o->kernel[i], 1) && o->stride[i] >= 1 && o->stride[i] <= MOST && o->padding[i] >= 0 &&
             o->padding[i] <= MOST;
    }
    if (!ok)
        return leat_model_fail(m, LEAT_EARG,
                               "conv: %lld -> %lld features, kernel %lldx%lld, stride %lldx%lld, "
                               "padding %lldx%lld",
                               (long long)o->in, (long long)o->out, (long long)o->kernel[0], (long long)o->kernel[1],
                               (long long)o->stride[0], (long long)o->stride[1], (long long)o->padding[0],
                               (long long)o->padding[1]);
    if ((int)o->form < 0 || (int)o->form >= FORMS)
        return leat_model_fail(m, LEAT_EARG, "conv: there is no form number %d", (int)o->form);
    if (o->no_bias && o->form > LEAT_CONV_WEIGHT_NORM)
        return leat_model_fail(m, LEAT_EARG, "conv: the form %s has a bias", forms[o->form]);
    return leat_model_code(m);
}

leat_module *leat_conv_layer(leat_model *m, const leat_conv_opts *options)
{
    conv *c = leat_module_new(m, &leat_conv_type, sizeof *c);
    if (!c)
        return NULL;
    leat_conv_opts *o = &c->o;
    *o = *options;
    if (check(m, o))
        return NULL;
    bool normed = o->form == LEAT_CONV_WEIGHT_NORM;
    double fan_in = (double)(o->in + o->border) * (double)o->kernel[0] * (double)o->kernel[1];
    leat_init init = leat_init_uniform(-1 / sqrt(fan_in), 1 / sqrt(fan_in));
    if (o->form == LEAT_CONV_ACTNORM)
        init = leat_init_normal(0, 0.05);
    else if (o->form == LEAT_CONV_ZEROS)
        init = leat_init_zeros();
    c->weight = leat_param_new(&c->module, normed ? "weight_v" : "weight",
                               LEAT_SHAPE(o->out, o->in + o->border, o->kernel[0], o->kernel[1]), init);
    if (o->form == LEAT_CONV_ACTNORM)
        c->scale = leat_actnorm_parts_new(&c->module, o->out);
    else if (!o->no_bias)
        c->scale.bias = leat_param_new(&c->module, "bias", LEAT_SHAPE(o->out), init);
    if (o->form == LEAT_CONV_ZEROS)
        c->scale.log_scale = leat_param_new(&c->module, "log_scale", LEAT_SHAPE(o->out), init);
    if (normed)
        c->norms = leat_norms_new(&c->module, c->weight);
    return leat_model_code(m) ? NULL : &c->module;
}

leat_module *leat_glow_net(leat_model *m, int64_t in, int64_t hidden, int64_t out)
{
    const leat_conv_opts layers[] = {
        { .in = in, .out = hidden, .kernel = { 3 }, .padding = { 1, 1 }, .form = LEAT_CONV_ACTNORM, .border = true },
        { .in = hidden, .out = hidden, .form = LEAT_CONV_ACTNORM },
        { .in = hidden, .out = out, .kernel = { 3 }, .padding = { 1, 1 }, .form = LEAT_CONV_ZEROS, .border = true },
    };
    leat_module *net = leat_sequential(m);
    for (int i = 0; i < 3; i++) {
        if (i)
            leat_sequential_add(net, leat_activation_layer(m, LEAT_RELU));
        leat_sequential_add(net, leat_conv_layer(m, &layers[i]));
    }
    return net;
}
