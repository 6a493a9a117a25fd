/* How many of a sorted list are less than a value, or not greater, by bisection. */
#include "ops.h"

static leat_code searchsorted_shape(leat_call *c)
{
    const leat_shape *sorted = &c->in[0].shape, *values = &c->in[1].shape;
    c->out[0].shape = *values;
    bool fit = sorted->rank == 1 || (sorted->rank > 0 && sorted->rank == values->rank);
    for (int axis = 0; fit && axis < sorted->rank - 1; axis++)
        fit = sorted->size[axis] == values->size[axis];
    if (fit)
        return LEAT_OK;
    return leat_call_fail(c, LEAT_ESHAPE, "neither one list nor a list for each row of values");
}

/* As in PyTorch, a comparison with NaN goes on with what is behind. */
static int64_t place_of(leat_real value, const leat_real *sorted, int64_t n, bool right)
{
    int64_t begin = 0, end = n;
    while (begin < end) {
        int64_t middle = begin + (end - begin) / 2;
        if (right ? sorted[middle] > value : sorted[middle] >= value)
            end = middle;
        else
            begin = middle + 1;
    }
    return begin;
}

static void searchsorted_range(void *arg, int64_t begin, int64_t end)
{
    const leat_call *c = arg;
    const leat_shape *sorted = &c->in[0].shape, *values = &c->in[1].shape;
    const int64_t size = sorted->size[sorted->rank - 1];
    const int64_t width = sorted->rank > 1 ? values->size[values->rank - 1] : INT64_MAX; /* values for each list */
    for (int64_t i = begin; i < end; i++)
        c->out[0].data[i] =
            (leat_real)place_of(c->in[1].data[i], c->in[0].data + i / width * size, size, *(const bool *)c->attributes);
}

static void searchsorted_forward(leat_call *c)
{
    leat_call_rows(c, leat_shape_count(&c->out[0].shape), 1, searchsorted_range, c);
}

static bool searchsorted_sample(leat_case *k, int i)
{
    static const bool right[] = { false, true };
    static const leat_shape shapes[][2] = {
        { { 1, { 5 } }, { 1, { 7 } } },
        { { 1, { 5 } }, { 2, { 2, 3 } } },
        { { 2, { 3, 4 } }, { 2, { 3, 2 } } },
        { { 3, { 2, 1, 8 } }, { 3, { 2, 1, 5 } } },
    };
    if (i >= 8)
        return false;
    k->n = 2;
    for (int j = 0; j < 2; j++)
        k->in[j] = leat_case_normal(k, shapes[i / 2][j]);
    int64_t size = shapes[i / 2][0].size[shapes[i / 2][0].rank - 1];
    for (int64_t j = 0; k->in[0].data && j < leat_shape_count(&k->in[0].shape); j++)
        k->in[0].data[j] = (leat_real)(j % size);
    k->attributes = &right[i % 2];
    k->attributes_size = sizeof right[0];
    return true;
}

const leat_op leat_op_searchsorted = {
    .name = "searchsorted",
    .inputs = 2,
    .no_grad = 3,
    .shape = searchsorted_shape,
    .forward = searchsorted_forward,
    .sample = searchsorted_sample,
};

leat_var leat_searchsorted(leat_var sorted, leat_var values, bool right)
{
    return leat_apply(&leat_op_searchsorted, &right, sizeof right, 2, (leat_var[]){ sorted, values }, NULL);
}
