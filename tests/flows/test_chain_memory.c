/* What a chain keeps of its transforms while it records: what backward reads, and no more; all else is as without. */
#include "../../flows/flow_impl.h"
#include "recompute_support.h"

#include <stdlib.h>

enum { BATCH = 128, DIM = 64, WIDTH = 16 };

/* Bytes on the tape after the forward pass. */
static size_t bytes_of(int couplings)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_nice_new(
        m, &(leat_nice_opts){
               .dim = DIM, .couplings = couplings, .hidden = { WIDTH, WIDTH, WIDTH, WIDTH }, .masks = LEAT_HALVES });
    leat_tape *t = test_tape(m);
    leat_var loss = loss_of(f, t, test_normal(1, BATCH, DIM, 1));
    cr_assert(leat_ok(loss), "%s", leat_tape_errmsg(t));
    size_t bytes = leat_tape_get_stats(t).bytes;
    leat_model_free(m);
    return bytes;
}

/* Of one more additive coupling with a deep net stay the kept half and the hidden layers, 96 numbers a row. The moved
 * half, the shift, their sum and both halves together, 160 more, go: a factor of 2.6. A tenth more is for the nodes. */
Test(chain_memory, a_coupling_leaves_what_backward_reads)
{
    size_t each = (bytes_of(24) - bytes_of(8)) / 16, number = BATCH * sizeof(leat_real);
    cr_assert_leq((double)each, 1.1 * (DIM / 2 + 4 * WIDTH) * (double)number, "%zu", each / number);
    cr_assert_geq(each, (DIM / 2 + 4 * WIDTH) * number);
}

static void copy_grad(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    leat_real **to = v->user;
    size_t n = (size_t)leat_shape_count(&p->leaf.shape);
    cr_assert(p->leaf.has_grad);
    memcpy(*to, p->leaf.grad, n * sizeof **to);
    *to += n;
}

/* The loss from the transforms one by one, of which nothing is let go. */
static leat_var traced_loss(leat_flow *f, leat_tape *t, leat_tensor x)
{
    leat_pair steps[16] = { { { 0 }, { 0 } } };
    leat_var from = leat_borrow(t, x), logdet = leat_zeros(t, LEAT_SHAPE(ROWS));
    int n = 0;
    cr_assert_eq(leat_flow_trace(f, from, (leat_var){ 0 }, steps), LEAT_OK, "%s", leat_tape_errmsg(t));
    for (; n < 16 && steps[n].y.tape; n++)
        logdet = leat_add(logdet, steps[n].logdet);
    leat_var prior = leat_base_log_prob(f->base, steps[n - 1].y, (leat_var){ 0 });
    leat_var loss = leat_neg(leat_mean(leat_add(prior, logdet)));
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
    for (int k = 0; k < n; k++)
        cr_assert_not_null(leat_value(steps[k].y).data);
    assert_tape(t);
    return loss;
}

/* Everything that there is, with a transform of a user's and one that is inverted by search: the bits of the gradients
 * are those of the transforms run one by one; also when the tape is walked again. */
Test(chain_memory, gradients_are_those_of_the_transforms_one_by_one)
{
    static leat_real grads[3][4096];
    for (int way = 0; way < 3; way++) {
        leat_model *m = test_model(1);
        leat_flow *f = mixed(m);
        leat_tape *t = test_tape(m);
        leat_tensor x = rows_of(1, 4);
        leat_var loss = way ? loss_of(f, t, x) : traced_loss(f, t, x);
        for (int walk = 0; walk < way; walk++) {
            leat_clear_grads(t);
            cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        }
        leat_real *to = grads[way];
        leat_visit_model(&(leat_visitor){ .user = &to, .param = copy_grad }, m);
        cr_assert_gt(to, grads[way]);
        cr_assert_arr_eq(grads[way], grads[0], sizeof grads[0]);
        leat_model_free(m);
    }
}

/* A value that is not finite, and that the chain has let go of, is found where it was made. */
Test(chain_memory, the_first_value_that_is_not_finite_is_found)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_nice_new(m, &(leat_nice_opts){ .dim = 4, .couplings = 5, .hidden = { 8 } });
    leat_tape *t = test_tape(m);
    cr_assert_eq(leat_model_seal(m), LEAT_OK);
    param_value(m, "layers.1.net.2.bias").data[1] = (leat_real)INFINITY;
    cr_assert_eq(step_once(f, t, 4), LEAT_ENONFINITE);
    assert_contains(leat_tape_errmsg(t), "layers.1.net.2.bias: parameter");
    param_value(m, "layers.1.net.2.bias").data[1] = sizeof(leat_real) == 4 ? (leat_real)3e38 : (leat_real)1e308;
    param_value(m, "layers.3.net.2.bias").data[1] = param_value(m, "layers.1.net.2.bias").data[1];
    cr_assert_eq(step_once(f, t, 4), LEAT_ENONFINITE);
    assert_contains(leat_tape_errmsg(t), "layers.3: add [64,2] is the first value that is not finite: inf");
    leat_model_free(m);
}
