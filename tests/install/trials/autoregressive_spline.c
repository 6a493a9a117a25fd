/* An autoregressive spline flow: MADE and the spline (NSF-AR). */
#include "spline.h"

enum { DIM = 3 };

typedef struct autoregressive {
    leat_transform transform;
    leat_module *made;
} autoregressive;

/* Forward all at once; the inverse one feature after the other, each given those before it. */
static leat_pair run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const autoregressive *a = (const autoregressive *)t;
    leat_var theta[LEAT_MAX_GROUPS], y = inverse ? leat_zeros_like(x) : x;
    leat_pair out = { { .tape = x.tape }, { .tape = x.tape } };
    for (int64_t j = 0; j < (inverse ? DIM : 1); j++) {
        if (!leat_elementwise_theta(&spline, leat_forward_with(a->made, y, call->context), DIM, theta))
            return out;
        out = leat_elementwise_run(&spline, x, theta, inverse);
        y = leat_index_copy(y, -1, (leat_index){ &j, 1 }, leat_slice(out.y, -1, j, 1));
    }
    return out;
}

static void write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_module(w, "made", ((const autoregressive *)m)->made);
}

static leat_module *read(leat_part_reader *r, const leat_json *v);
static const leat_transform_type type = {
    .module = { .name = "autoregressive_spline", .write = write, .read = read },
    .run = run,
};

static leat_transform *autoregressive_new(leat_model *m, leat_module *made)
{
    autoregressive *a = leat_module_new(m, &type.module, sizeof *a);
    a->made = made;
    leat_attach(&a->transform.module, made, "made");
    return &a->transform;
}

static leat_module *read(leat_part_reader *r, const leat_json *v)
{
    leat_module *made = leat_part_module(r, v, "made");
    return made ? &autoregressive_new(leat_part_model(r), made)->module : NULL;
}

static leat_flow *build(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, DIM));
    for (int i = 0; i < 2; i++) {
        leat_made_opts o = { .features = DIM, .widths = { BINS, BINS, BINS - 1 }, .hidden = { 24 } };
        leat_flow_add(f, autoregressive_new(m, leat_made(m, &o)));
        leat_flow_add(f, leat_reverse(m, DIM));
    }
    return f;
}

int main(void)
{
    const leat_module_type *const mine[] = { &type.module, NULL };
    return trial(build, &(leat_own_parts){ .transforms = mine });
}
