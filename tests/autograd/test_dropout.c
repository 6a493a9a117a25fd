/* Dropout: what it drops and how often, that backward drops the same, when it is no dropout at all. */
#include "support.h"

TestSuite(dropout, .init = setup, .fini = teardown);

enum { MANY = 100000 };

static uint64_t position(void)
{
    return leat_tape_rng(tape)->position;
}

Test(dropout, drops_as_often_as_said_and_scales_the_rest)
{
    static const double p[] = { 0.5, 0.1, 0.9, 0.25 };
    for (int i = 0; i < 4; i++) {
        leat_var x = leat_add_scalar(leat_rand(tape, LEAT_SHAPE(MANY / 100, 100)), 1), y = leat_dropout(x, p[i]);
        assert_shape(y, LEAT_SHAPE(MANY / 100, 100));
        int dropped = 0, pairs = 0;
        for (int j = 0; j < MANY; j++) {
            leat_real kept = data(x)[j] * (leat_real)(1 / (1 - p[i]));
            cr_assert(data(y)[j] == 0 || data(y)[j] == kept, "%.9g of %.9g", (double)data(y)[j], (double)data(x)[j]);
            dropped += data(y)[j] == 0;
            pairs += j > 0 && data(y)[j] == 0 && data(y)[j - 1] == 0;
        }
        double sigma = sqrt(MANY * p[i] * (1 - p[i]));
        cr_assert_lt(fabs(dropped - MANY * p[i]), 4 * sigma, "p %g: %d", p[i], dropped);
        cr_assert_lt(fabs(pairs - MANY * p[i] * p[i]), 8 * sigma, "p %g: %d neighbours", p[i], pairs);
    }
}

Test(dropout, takes_one_random_number_for_each_element)
{
    leat_rng rng = *leat_tape_rng(tape);
    rng.position += 17;
    leat_rand(tape, LEAT_SHAPE(17));
    leat_var x = leat_full(tape, LEAT_SHAPE(5, 3), 3), y = leat_dropout(x, 0.25);
    for (int i = 0; i < 15; i++)
        cr_assert_eq((double)data(y)[i], leat_rng_uniform(&rng) < 0.25 ? 0 : 4, "element %d", i);
    cr_assert_eq(position(), 17 + 15);
    leat_var again = leat_dropout(x, 0.25);
    cr_assert_neq(memcmp(data(again), data(y), 15 * sizeof(leat_real)), 0, "another draw");
    cr_assert_eq(position(), 17 + 30);
}

Test(dropout, the_seed_decides)
{
    leat_real first[64], x[64];
    for (int i = 0; i < 64; i++)
        x[i] = 1;
    for (uint64_t i = 0; i < 3; i++) {
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .seed = i == 2 });
        leat_var y = leat_dropout(leat_const(t, (leat_tensor){ x, LEAT_SHAPE(64) }), 0.5);
        if (i == 0)
            memcpy(first, leat_value(y).data, sizeof first);
        cr_assert_eq(memcmp(first, leat_value(y).data, sizeof first) == 0, i < 2, "seed %d", i == 2);
        leat_tape_free(t);
    }
}

/* Of ones, the value is the mask, and so is the gradient of its sum; whatever is drawn in between. */
Test(dropout, backward_drops_the_same)
{
    double ones[200];
    for (int i = 0; i < 200; i++)
        ones[i] = 1;
    leat_var x = input(LEAT_SHAPE(20, 10), ones), y = leat_dropout(x, 0.3);
    leat_dropout(leat_randn(tape, LEAT_SHAPE(33)), 0.3);
    const leat_real *dx = gradient(y, NULL, x);
    cr_assert_eq(memcmp(dx, data(y), 200 * sizeof *dx), 0);
    cr_assert_eq(memcmp(gradient(y, NULL, x), data(y), 200 * sizeof *dx), 0, "and once more");
}

Test(dropout, is_x_itself_without_training_and_for_p_0)
{
    leat_var x = integers(LEAT_SHAPE(4));
    cr_assert_eq(leat_dropout(x, 0).id, x.id);
    leat_tape_set_training(tape, false);
    cr_assert_eq(leat_dropout(x, 0.5).id, x.id);
    cr_assert_eq(leat_dropout(x, 1).id, x.id);
    cr_assert_eq(position(), 0, "and takes no random numbers");
}

Test(dropout, of_everything_and_of_nothing)
{
    leat_var x = input(LEAT_SHAPE(3), NUMBERS(1, INF, NOT_A_NUMBER)), y = leat_dropout(x, 1);
    assert_numbers(y, LEAT_SHAPE(3), NUMBERS(0, 0, 0));
    assert_equal(gradient(y, NULL, x), NUMBERS(0, 0, 0), 3);
    assert_shape(leat_dropout(leat_randn(tape, LEAT_SHAPE(0, 3)), 0.5), LEAT_SHAPE(0, 3));
    assert_shape(leat_dropout(leat_scalar(tape, 2), 0.5), leat_shape_of(0, NULL));
}

Test(dropout, refuses_what_is_no_probability)
{
    static const double p[] = { -0.1, 1.5, NOT_A_NUMBER };
    static const char *const want[] = { "dropout [2]: the probability is -0.1, and must be in 0 .. 1",
                                        "dropout [2]: the probability is 1.5,",
                                        "dropout [2]: the probability is nan," };
    for (int i = 0; i < 6; i++) {
        leat_tape_reset(tape);
        leat_tape_set_training(tape, i < 3);
        leat_var y = leat_dropout(leat_full(tape, LEAT_SHAPE(2), 1), p[i % 3]);
        cr_assert_not(leat_ok(y));
        cr_assert_eq(leat_tape_code(tape), LEAT_EARG);
        cr_assert_not_null(strstr(leat_tape_errmsg(tape), want[i % 3]), "%s", leat_tape_errmsg(tape));
        cr_assert_eq(position(), 0);
    }
}

Test(dropout, threads_do_not_change_a_bit)
{
    static leat_real y[MANY], dx[MANY];
    for (int threads = 1; threads <= 3; threads++) {
        leat_pool *pool = leat_pool_new(threads, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool, .seed = 3 });
        leat_var x = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(MANY)))), out = leat_dropout(x, 0.4);
        cr_assert_eq(leat_vjp(out, leat_value(x)), LEAT_OK);
        if (threads == 1) {
            memcpy(y, leat_value(out).data, sizeof y);
            memcpy(dx, leat_grad(x).data, sizeof dx);
        }
        cr_assert_eq(memcmp(y, leat_value(out).data, sizeof y), 0, "%d threads", threads);
        cr_assert_eq(memcmp(dx, leat_grad(x).data, sizeof dx), 0, "the gradient, %d threads", threads);
        leat_tape_free(t);
        leat_pool_free(pool);
    }
}
