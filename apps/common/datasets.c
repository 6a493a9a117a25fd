/*
 * The toy data sets that programs train on.
 *
 * A toy set is a function from the index of a row and random numbers to a point. All share the rest: noise, memory,
 * order. Sets whose points depend on their index are shuffled afterwards; the others are in random order already.
 */
#include "datasets.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* Row i of n without its noise. */
typedef void point_fn(int64_t i, int64_t n, leat_rng *r, double p[2]);

static leat_code generate(const char *name, point_fn *point, int64_t n, double noise, leat_rng *r, leat_arena *a,
                          leat_tensor *out, leat_status *s)
{
    *out = (leat_tensor){ 0 };
    if (n < 1 || !(noise >= 0) || isinf(noise))
        return leat_fail(s, LEAT_EARG, "%s need at least 1 point and a finite noise of at least 0, not %lld and %g",
                         name, (long long)n, noise);
    *out = leat_tensor_new(a, LEAT_SHAPE(n, 2), s);
    if (!out->data)
        return LEAT_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        double p[2];
        point(i, n, r, p);
        out->data[2 * i] = (leat_real)(p[0] + noise * leat_rng_normal(r));
        out->data[2 * i + 1] = (leat_real)(p[1] + noise * leat_rng_normal(r));
    }
    return LEAT_OK;
}

static leat_code generate_shuffled(const char *name, point_fn *point, int64_t n, double noise, leat_rng *r,
                                   leat_arena *a, leat_tensor *out, leat_status *s)
{
    leat_arena scratch;
    leat_tensor ordered;
    *out = (leat_tensor){ 0 };
    leat_arena_init(&scratch, a->allocator);
    leat_code code = generate(name, point, n, noise, r, &scratch, &ordered, s);
    if (code == LEAT_OK) {
        int64_t *row = leat_arena_alloc(&scratch, (size_t)n * sizeof *row);
        *out = leat_tensor_new(a, ordered.shape, s);
        if (row && out->data) {
            leat_rng_permutation(r, row, n);
            for (int64_t i = 0; i < n; i++)
                memcpy(out->data + 2 * i, ordered.data + 2 * row[i], 2 * sizeof(leat_real));
        } else {
            *out = (leat_tensor){ 0 };
            code = leat_fail(s, LEAT_ENOMEM, "out of memory for %lld points of %s", (long long)n, name);
        }
    }
    leat_arena_free(&scratch);
    return code;
}

/* ---- points ------------------------------------------------------------------------------------------------------ */

static void moons(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    int64_t outer = n / 2;
    bool upper = i < outer;
    int64_t k = upper ? i : i - outer, last = (upper ? outer : n - outer) - 1;
    double t = k == last && last > 0 ? pi : (double)k * (pi / (double)(last > 0 ? last : 1));
    (void)r;
    p[0] = upper ? cos(t) : 1 - cos(t);
    p[1] = upper ? sin(t) : 0.5 - sin(t);
}

static void circles(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    int64_t outer = n / 2, k = i < outer ? i : i - outer, count = i < outer ? outer : n - outer;
    double radius = i < outer ? 3 : 1.5, t = 2 * pi * (double)k / (double)count;
    (void)r;
    p[0] = radius * cos(t);
    p[1] = radius * sin(t);
}

static void blobs(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    double t = 2 * pi * (double)leat_rng_below(r, 8) / 8;
    (void)i, (void)n;
    p[0] = 4 / 1.414 * cos(t);
    p[1] = 4 / 1.414 * sin(t);
}

static void pinwheel(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    double x = 1 + 0.3 * leat_rng_normal(r), y = 0.1 * leat_rng_normal(r);
    double t = 2 * pi * (double)(i / ((n + 4) / 5)) / 5 + 0.25 * exp(x);
    p[0] = 2 * (x * cos(t) + y * sin(t));
    p[1] = 2 * (y * cos(t) - x * sin(t));
}

static void checkerboard(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    double x = 4 * leat_rng_uniform(r) - 2, y = leat_rng_uniform(r) - 2 * (double)leat_rng_below(r, 2);
    (void)i, (void)n;
    p[0] = 2 * x;
    p[1] = 2 * (y + fabs(fmod(floor(x), 2)));
}

static void spirals(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    double t = 3 * pi * sqrt(leat_rng_uniform(r)), side = i < n / 2 ? 1 : -1;
    double x = -t * cos(t) + 0.5 * leat_rng_uniform(r), y = t * sin(t) + 0.5 * leat_rng_uniform(r);
    p[0] = side * x / 3;
    p[1] = side * y / 3;
}

static void swiss_roll(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    double t = 1.5 * pi * (1 + 2 * leat_rng_uniform(r));
    (void)i, (void)n;
    p[0] = t * cos(t) / 5;
    p[1] = t * sin(t) / 5;
}

static void s_curve(int64_t i, int64_t n, leat_rng *r, double p[2])
{
    double t = 3 * pi * (leat_rng_uniform(r) - 0.5);
    (void)i, (void)n;
    p[0] = sin(t);
    p[1] = copysign(1, t) * (cos(t) - 1);
}

/* ---- sets -------------------------------------------------------------------------------------------------------- */

#define TOY(NAME, POINT, GENERATE, TEXT)                                                                               \
    leat_code app_data_##NAME(int64_t n, double noise, leat_rng *r, leat_arena *a, leat_tensor *out, leat_status *s)   \
    {                                                                                                                  \
        return GENERATE(TEXT, POINT, n, noise, r, a, out, s);                                                          \
    }

TOY(moons, moons, generate_shuffled, "two moons")
TOY(moons_in_order, moons, generate, "two moons")
TOY(circles, circles, generate_shuffled, "two circles")
TOY(blobs, blobs, generate, "eight blobs")
TOY(pinwheel, pinwheel, generate_shuffled, "pinwheels")
TOY(checkerboard, checkerboard, generate, "checkerboards")
TOY(spirals, spirals, generate_shuffled, "two spirals")
TOY(swiss_roll, swiss_roll, generate, "swiss rolls")
TOY(s_curve, s_curve, generate, "s-curves")

const app_data_set app_data_sets[] = {
    { "moons", app_data_moons, 0.05 },
    { "circles", app_data_circles, 0.24 },
    { "blobs", app_data_blobs, 0.5 / 1.414 },
    { "pinwheel", app_data_pinwheel, 0 },
    { "checkerboard", app_data_checkerboard, 0 },
    { "spirals", app_data_spirals, 0.1 },
    { "swiss-roll", app_data_swiss_roll, 0.2 },
    { "s-curve", app_data_s_curve, 0.1 },
    { NULL, NULL, 0 },
};

const app_data_set *app_data_find(const char *name)
{
    for (const app_data_set *set = app_data_sets; set->name; set++)
        if (strcmp(set->name, name) == 0)
            return set;
    return NULL;
}
