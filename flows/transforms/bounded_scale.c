/* The layer that closes a net of scales: tanh, times a learned number for each feature if asked for. */
#include "../flow_impl.h"

#include <stdio.h>

typedef struct bounded {
    leat_module module;
    leat_param *scale; /* NULL: not learned, 1 */
    int64_t columns;
} bounded;

static leat_var bounded_forward(leat_module *m, leat_var x, leat_var context)
{
    const bounded *b = (const bounded *)m;
    leat_shape shape = leat_var_shape(x);
    if (!leat_is_absent(context))
        return leat_tape_fail(x.tape, LEAT_ESTATE, "%s takes no context", m->type->name);
    int64_t columns = leat_var_size(x, -1);
    if (leat_ok(x) && (shape.rank < 2 || columns < b->columns)) {
        char text[LEAT_SHAPE_TEXT];
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "a bounded scale of %lld columns is given %s", (long long)b->columns,
                              leat_shape_print(&shape, text));
    }
    bool all = columns == b->columns;
    leat_var s = leat_tanh(all ? x : leat_slice(x, -1, 0, b->columns));
    if (b->scale)
        s = leat_mul(s, leat_use(x.tape, b->scale));
    if (all || !leat_ok(s))
        return s;
    leat_var rest = leat_slice(x, -1, b->columns, columns - b->columns);
    return leat_concat(2, (leat_var[]){ s, rest }, -1);
}

static void bounded_describe(const leat_module *m, char *text, size_t size)
{
    const bounded *b = (const bounded *)m;
    snprintf(text, size, "%lld%s", (long long)b->columns, b->scale ? ", learned" : "");
}

static void bounded_write(const leat_module *m, leat_part_writer *w)
{
    const bounded *b = (const bounded *)m;
    leat_part_put_int(w, "columns", b->columns);
    leat_part_put_bool(w, "learned", b->scale != NULL);
}

static leat_module *bounded_read(leat_part_reader *r, const leat_json *v)
{
    int64_t columns = leat_part_size(r, v, "columns", 0);
    return columns < 0 ? NULL : leat_bounded_scale(r->model, columns, leat_part_flag(v, "learned"));
}

const leat_module_type leat_bounded_scale_type = {
    .name = "bounded_scale",
    .write = bounded_write,
    .read = bounded_read,
    .forward = bounded_forward,
    .describe = bounded_describe,
};

leat_module *leat_bounded_scale(leat_model *m, int64_t columns, bool learned)
{
    bounded *b = leat_module_new(m, &leat_bounded_scale_type, sizeof *b);
    if (!b)
        return NULL;
    b->columns = columns;
    if (columns < 0) {
        leat_model_fail(m, LEAT_EARG, "a bounded scale of %lld columns", (long long)columns);
        return NULL;
    }
    if (learned)
        b->scale = leat_param_new(&b->module, "scale", LEAT_SHAPE(columns), leat_init_constant(1));
    return &b->module;
}
