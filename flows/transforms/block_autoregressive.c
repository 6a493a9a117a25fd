/* Block neural autoregressive flow (De Cao et al. 2019): a net whose weights make features autoregressive by blocks. */
#include "../flow_impl.h"

typedef struct bnaf {
    leat_sized_transform sized; /* by its hidden units for a feature */
    leat_param *weight[2], *scale[2], *bias[2], *gate;
} bnaf;

/* The weights of a layer, rows as long as exp(scale): exp(raw) from a feature's units to its own, which are given once
 * more alone, raw from features before, 0 from those behind. */
static leat_var weights(const bnaf *p, leat_tape *t, int layer, leat_var *own)
{
    int64_t n = p->sized.dim * p->sized.dim * p->sized.size, out = layer ? 1 : p->sized.size, in = p->sized.size / out;
    leat_real *kinds = leat_tape_alloc(t, 2 * (size_t)n * sizeof *kinds);
    for (int64_t i = 0; kinds && i < n; i++) {
        int64_t to = i / (p->sized.dim * in) / out, from = i % (p->sized.dim * in) / in;
        kinds[i] = from == to;
        kinds[n + i] = from < to;
    }
    leat_shape shape = p->weight[layer]->leaf.shape;
    leat_var raw = leat_use(t, p->weight[layer]), same = leat_borrow(t, (leat_tensor){ kinds, shape });
    leat_var positive = leat_mul(leat_exp(leat_mul(raw, same)), same);
    leat_var w = leat_add(positive, leat_mul(raw, leat_borrow(t, (leat_tensor){ kinds + n, shape })));
    leat_var length = leat_sqrt(leat_sum_axes(leat_square(w), 1, (int[]){ -1 }, true));
    leat_var grow = leat_div(leat_exp(leat_use(t, p->scale[layer])), length);
    *own = leat_mul(positive, grow);
    return leat_mul(w, grow);
}

static leat_pair gated(leat_transform *t, leat_var x)
{
    const bnaf *p = (const bnaf *)t;
    leat_var own[2], in = weights(p, x.tape, 0, &own[0]), out = weights(p, x.tape, 1, &own[1]);
    leat_var h = leat_linear(x, in, leat_use(x.tape, p->bias[0]), LEAT_TANH), square = leat_square(h);
    leat_var f = leat_linear(h, out, leat_use(x.tape, p->bias[1]), LEAT_IDENTITY), gate = leat_use(x.tape, p->gate);
    leat_var rise = leat_mul(leat_rsub_scalar(1, square), leat_sum_axes(own[0], 1, (int[]){ -1 }, false));
    leat_var g = leat_sigmoid(gate), rest = leat_sigmoid(leat_neg(gate)), y = leat_mul(f, g);
    leat_var slope = leat_add(leat_mul(leat_matmul_t(rise, own[1], false, true), g), rest);
    return (leat_pair){ leat_add(leat_mul(x, rest), y), leat_log(slope) };
}

static leat_pair bnaf_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    if (!leat_check_features(x, ((bnaf *)t)->sized.dim, "a block autoregressive flow"))
        return leat_failed_pair(x);
    return leat_triangular_run(t, gated, x, inverse, false);
}

static leat_module *bnaf_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v), hidden = leat_part_size(r, v, "hidden", 1);
    return dim > 0 && hidden > 0 ? (leat_module *)leat_block_autoregressive(r->model, dim, hidden) : NULL;
}

const leat_transform_type leat_block_autoregressive_type = {
    .module = { .name = "block_autoregressive", .write = leat_sized_write, .read = bnaf_read },
    .run = bnaf_run,
};

leat_transform *leat_block_autoregressive(leat_model *m, int64_t dim, int64_t hidden)
{
    bnaf *p = leat_module_new(m, &leat_block_autoregressive_type.module, sizeof *p);
    if (!leat_check_dim(p, m, hidden < 0 ? hidden : dim, "a block autoregressive flow"))
        return NULL;
    leat_module *own = &p->sized.transform.module;
    p->sized.dim = dim;
    p->sized.size = hidden ? hidden : 8;
    p->sized.size_name = "hidden";
    static const char *const names[][3] = { { "weight", "scale", "bias" }, { "out_weight", "out_scale", "out_bias" } };
    for (int i = 0; i < 2; i++) {
        int64_t units = dim * p->sized.size, out = i ? dim : units;
        p->weight[i] = leat_param_new(own, names[i][0], LEAT_SHAPE(out, i ? units : dim), leat_init_normal(0, 0.5));
        p->scale[i] = leat_param_new(own, names[i][1], LEAT_SHAPE(out, 1), leat_init_zeros());
        p->bias[i] = leat_param_new(own, names[i][2], LEAT_SHAPE(out), i ? leat_init_zeros() : leat_init_normal(0, 1));
    }
    p->gate = leat_param_new(own, "gate", LEAT_SHAPE(1), leat_init_zeros());
    return &p->sized.transform;
}
