/* The numerical inverse of maps whose Jacobian is triangular, one feature after the other. */
#include "../flow_impl.h"

typedef struct column {
    leat_elementwise e;
    leat_transform *t;
    leat_map *map;
    int64_t j;
} column;

/* Of feature j alone, x, with the others in theta[0]. */
static leat_pair column_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    const column *c = (const column *)self;
    leat_pair out = c->map(c->t, leat_index_copy(theta[0], -1, (leat_index){ &c->j, 1 }, x));
    leat_var y = leat_slice(out.y, -1, c->j, 1);
    return (leat_pair){ y, leat_slice(out.logdet, -1, c->j, 1) };
}

leat_pair leat_triangular_run(leat_transform *t, leat_map *map, leat_var x, bool inverse, bool last_first)
{
    int64_t dim = leat_var_size(x, -1);
    column c = { .e = { .name = t->module.type->name, .forward = column_forward }, .t = t, .map = map };
    leat_pair out = { leat_zeros_like(x), { 0 } };
    if (!inverse)
        out = map(t, x);
    for (int64_t i = 0; inverse && i < dim; i++) {
        c.j = last_first ? dim - 1 - i : i;
        leat_pair found = leat_elementwise_inverse(&c.e, leat_slice(x, -1, c.j, 1), &out.y);
        out.y = leat_index_copy(out.y, -1, (leat_index){ &c.j, 1 }, found.y);
        out.logdet = i ? leat_add(out.logdet, found.logdet) : found.logdet;
    }
    return (leat_pair){ out.y, leat_sum_features(out.logdet) };
}
