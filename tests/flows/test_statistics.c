/*
 * Draws follow the density that the flow itself states: a NICE and a RealNVP are trained on two moons, the density is
 * integrated over the cells of a grid, and a chi-square test compares 10^6 draws with that. In float only: it is slow.
 */
#include "support.h"

#ifndef LEAT_DOUBLE

/* ---- chi-square -------------------------------------------------------------------------------------------------- */

/* The regularised upper incomplete gamma function Q(a, x): 1 - the power series of P below a + 1, Lentz's continued
 * fraction above. */
static double gamma_q(double a, double x)
{
    double scale = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (double n = a + 1; term > sum * 1e-16; n++)
            sum += term *= x / n;
        return 1 - scale * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d, step = 0;
    for (int i = 1; i < 10000 && fabs(step - 1) > 1e-15; i++) {
        double an = -i * (i - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        step = c * d;
        h *= step;
    }
    return scale * h;
}

/* The probability of a chi-square above `value`. */
static double chi_square_p(double value, int freedom)
{
    return gamma_q(freedom / 2.0, value / 2);
}

/* from tables of the chi-square distribution */
static const struct {
    int freedom;
    double value, p;
} known[] = { { 1, 3.841458821, 0.05 },  { 1, 10.82756617, 0.001 },  { 10, 18.30703805, 0.05 },
              { 10, 3.940299136, 0.95 }, { 100, 124.3421134, 0.05 }, { 100, 149.4492528, 0.001 } };

Test(statistics, chi_square_itself)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double p = chi_square_p(known[i].value, known[i].freedom);
        cr_assert(fabs(p - known[i].p) < 1e-8, "%d, %g: %.10g", known[i].freedom, known[i].value, p);
    }
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

static void two_moons(leat_rng *rng, leat_tensor points)
{
    for (int64_t i = 0; i < points.shape.size[0]; i++) {
        double angle = M_PI * leat_rng_uniform(rng);
        bool lower = i % 2;
        double x = lower ? 1 - cos(angle) : cos(angle), y = lower ? 0.5 - sin(angle) : sin(angle);
        points.data[2 * i] = (leat_real)(x + 0.05 * leat_rng_normal(rng));
        points.data[2 * i + 1] = (leat_real)(y + 0.05 * leat_rng_normal(rng));
    }
}

/* NICE with a learned scale: without it, it cannot be denser than its base anywhere. */
static leat_flow *trained(leat_model *m, bool affine)
{
    leat_flow *flow =
        affine ? leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 4, .hidden = { 32 } })
               : leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = 6, .hidden = { 32, 32 }, .scale = true });
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 4e-3 });
    leat_tape *tape = test_tape(m);
    leat_tensor batch = test_tensor(256, 2);
    leat_rng rng = leat_rng_new(11, 0);
    double loss = 0;
    for (int step = 0; step < 600; step++) {
        two_moons(&rng, batch);
        leat_tape_reset(tape);
        leat_var mean = leat_neg(leat_mean(leat_flow_log_prob(flow, leat_const(tape, batch))));
        cr_assert_eq(leat_backward(mean), LEAT_OK, "%s", leat_tape_errmsg(tape));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK, "%s", leat_optim_status(adam)->message);
        loss = leat_item(mean);
    }
    cr_assert(loss < 1, "the loss stays at %g", loss);
    return flow;
}

static leat_model *free_threads_model(void)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1 });
    cr_assert_not_null(m);
    return m;
}

/* The density integrated over a rectangle, by midpoints of n x n parts. */
static double integrate(leat_flow *flow, leat_tape *tape, double left, double bottom, double width, double height,
                        int n)
{
    leat_arena_mark mark = leat_arena_save(test_arena());
    leat_tensor at = test_tensor((int64_t)n * n, 2);
    double *scores = leat_arena_alloc(test_arena(), (size_t)n * (size_t)n * sizeof *scores), sum = 0;
    for (int64_t i = 0; i < (int64_t)n * n; i++) {
        at.data[2 * i] = (leat_real)(left + width * ((double)(i % n) + 0.5) / n);
        at.data[2 * i + 1] = (leat_real)(bottom + height * ((double)(i / n) + 0.5) / n);
    }
    cr_assert_eq(leat_flow_score(flow, tape, at, scores), LEAT_OK, "%s", leat_tape_errmsg(tape));
    for (int64_t i = 0; i < (int64_t)n * n; i++)
        sum += exp(scores[i]);
    leat_arena_restore(test_arena(), mark);
    return sum * width * height / n / n;
}

/* ---- draws against density --------------------------------------------------------------------------------------- */

enum { GRID = 20, PARTS = 40, DRAWS = 1000000 };
static const double left = -1.6, bottom = -1.1, cell = 0.21; /* the grid spans -1.6 .. 2.6 and -1.1 .. 3.1 */

static void count_draws(leat_flow *flow, leat_tape *tape, double temperature, double counts[GRID * GRID])
{
    leat_arena_mark mark = leat_arena_save(test_arena());
    leat_tensor drawn = test_tensor(DRAWS, 2);
    cr_assert_eq(leat_flow_draw(flow, tape, DRAWS, temperature, drawn.data), LEAT_OK, "%s", leat_tape_errmsg(tape));
    memset(counts, 0, GRID * GRID * sizeof *counts);
    for (int64_t i = 0; i < DRAWS; i++) {
        double column = floor(((double)drawn.data[2 * i] - left) / cell);
        double row = floor(((double)drawn.data[2 * i + 1] - bottom) / cell);
        if (column >= 0 && column < GRID && row >= 0 && row < GRID)
            counts[(int)row * GRID + (int)column]++;
    }
    leat_arena_restore(test_arena(), mark);
}

/* All that is outside the grid is one more cell, which also takes in the cells where few draws are expected. */
static double p_value(const double mass[GRID * GRID], const double counts[GRID * GRID])
{
    double chi = 0, rest_mass = 1, rest_count = DRAWS;
    int freedom = 0;
    for (int i = 0; i < GRID * GRID; i++) {
        double expected = DRAWS * mass[i];
        if (expected < 10)
            continue;
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
        rest_mass -= mass[i];
        rest_count -= counts[i];
        freedom++;
    }
    double expected = DRAWS * rest_mass;
    cr_assert(expected > 10 && freedom > 100, "%g expected in the rest, %d cells", expected, freedom);
    chi += (rest_count - expected) * (rest_count - expected) / expected;
    return chi_square_p(chi, freedom);
}

static void expect_draws_of_the_density(bool affine)
{
    leat_model *m = free_threads_model();
    leat_flow *flow = trained(m, affine);
    leat_tape *tape = test_tape(m);
    double mass[GRID * GRID], counts[GRID * GRID];
    for (int i = 0; i < GRID * GRID; i++)
        mass[i] =
            integrate(flow, tape, left + cell * (i % GRID), bottom + cell * (double)(i / GRID), cell, cell, PARTS);
    count_draws(flow, tape, 1, counts);
    double p = p_value(mass, counts);
    cr_assert(p > 0.001, "chi-square p = %g", p);

    count_draws(flow, tape, 1.01, counts); /* the test would notice one hundredth too much */
    p = p_value(mass, counts);
    cr_assert(p < 1e-6, "chi-square p = %g at temperature 1.01", p);
    leat_model_free(m);
}

Test(statistics, draws_follow_the_density)
{
    expect_draws_of_the_density(false);
}

Test(statistics, draws_of_realnvp_follow_the_density)
{
    expect_draws_of_the_density(true);
}

Test(statistics, density_integrates_to_one)
{
    for (int affine = 0; affine < 2; affine++) {
        leat_model *m = free_threads_model();
        leat_flow *flow = trained(m, affine);
        double mass = integrate(flow, test_tape(m), -8, -8, 16, 16, 1200);
        cr_assert(fabs(mass - 1) < 1e-3, "%.6f", mass);
        leat_model_free(m);
    }
}

#endif
