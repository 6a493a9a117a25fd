/* A transform turned round: forward is its inverse, and its inverse is forward. IAF is MAF turned round. */
#include "../flow_impl.h"

typedef struct inverse_of {
    leat_transform transform;
    leat_transform *of;
} inverse_of;

static leat_pair inverse_of_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    return leat_transform_run(((const inverse_of *)t)->of, x, call, !inverse);
}

static leat_transform *inverse_of_inner(const leat_transform *t)
{
    return ((const inverse_of *)t)->of;
}

static int64_t inverse_of_numbers(const leat_transform *t, bool inverse)
{
    return leat_transform_numbers(((const inverse_of *)t)->of, !inverse);
}

static void inverse_of_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_module(w, "of", &((const inverse_of *)m)->of->module);
}

static leat_module *inverse_of_read(leat_part_reader *r, const leat_json *v)
{
    leat_transform *of = leat_part_inner(r, v, "of");
    leat_transform *t = of ? leat_inverse_of(r->model, of) : NULL;
    return t ? &t->module : NULL;
}

const leat_transform_type leat_inverse_of_type = {
    .module = { .name = "inverse_of", .write = inverse_of_write, .read = inverse_of_read },
    .run = inverse_of_run,
    .inner = inverse_of_inner,
    .numbers_per_row = inverse_of_numbers,
};

leat_transform *leat_inverse_of(leat_model *m, leat_transform *of)
{
    inverse_of *t = leat_module_new(m, &leat_inverse_of_type.module, sizeof *t);
    if (!t)
        return NULL;
    t->of = of;
    leat_attach(&t->transform.module, of ? &of->module : NULL, "of");
    return of ? &t->transform : NULL;
}
