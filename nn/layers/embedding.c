/* The embedding: a table, from which each number of the input picks a row. */
#include "layers.h"
#include "../module_json.h"

#include <stdio.h>

typedef struct embedding {
    leat_module module;
    leat_param *weight;
    int64_t count, features;
} embedding;

/* The input's numbers as indices; data NULL, and a failed tape, if one is no row of the table. */
static leat_index indices_of(const embedding *e, leat_var x)
{
    leat_tensor value = leat_value(x);
    int64_t n = leat_shape_count(&value.shape);
    int64_t *at = value.data ? leat_tape_alloc(x.tape, (size_t)n * sizeof *at) : NULL;
    for (int64_t i = 0; at && i < n; i++) {
        double number = (double)value.data[i];
        bool inside = number >= 0 && number < (double)e->count;
        at[i] = inside ? (int64_t)number : 0;
        if (!inside || (double)at[i] != number) {
            leat_tape_fail(x.tape, LEAT_EARG, "embedding: number %lld is %g, not one of 0 .. %lld", (long long)i,
                           number, (long long)e->count - 1);
            at = NULL;
        }
    }
    return (leat_index){ at, n };
}

static leat_var embedding_forward(leat_module *m, leat_var x, leat_var context)
{
    const embedding *e = (const embedding *)m;
    leat_shape shape = leat_var_shape(x);
    if (!leat_is_absent(context))
        return leat_tape_fail(x.tape, LEAT_ESTATE, "embedding takes no context");
    if (!leat_ok(x))
        return leat_detach(x); /* fails, and says why */
    if (shape.rank == LEAT_MAX_RANK)
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "embedding: an input of rank %d leaves no axis for the features",
                              shape.rank);
    leat_index index = indices_of(e, x);
    if (!index.at)
        return (leat_var){ .tape = x.tape };
    shape.size[shape.rank++] = e->features;
    return leat_reshape(leat_index_select(leat_use(x.tape, e->weight), 0, index), shape);
}

static void embedding_describe(const leat_module *m, char *text, size_t size)
{
    const embedding *e = (const embedding *)m;
    snprintf(text, size, "%lld x %lld", (long long)e->count, (long long)e->features);
}

static void embedding_write(const leat_module *m, leat_part_writer *w)
{
    const embedding *e = (const embedding *)m;
    leat_part_put_int(w, "count", e->count);
    leat_part_put_int(w, "features", e->features);
}

static leat_module *embedding_read(leat_part_reader *r, const leat_json *v)
{
    int64_t count = leat_part_size(r, v, "count", 0), features = leat_part_size(r, v, "features", 0);
    return count < 0 || features < 0 ? NULL : leat_embedding(r->model, count, features);
}

const leat_module_type leat_embedding_type = {
    .name = "embedding",
    .forward = embedding_forward,
    .describe = embedding_describe,
    .write = embedding_write,
    .read = embedding_read,
};

leat_module *leat_embedding(leat_model *m, int64_t count, int64_t features)
{
    embedding *e = leat_module_new(m, &leat_embedding_type, sizeof *e);
    if (!e)
        return NULL;
    e->count = count;
    e->features = features;
    if (!leat_is_size(count, 1) || !leat_is_size(features, 0)) {
        leat_model_fail(m, LEAT_EARG, "embedding: %lld rows of %lld features", (long long)count, (long long)features);
        return NULL;
    }
    e->weight = leat_param_new(&e->module, "weight", LEAT_SHAPE(count, features), leat_init_normal(0, 1));
    return &e->module;
}
