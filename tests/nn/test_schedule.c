/* Schedules against PyTorch's learning rates, and at their edges. */
#include "nn_helpers.h"

static const leat_schedule linear = { LEAT_WARMUP, .steps = 7, .value = 0.1 };
static const leat_schedule cosine = { LEAT_COSINE, .steps = 20, .value = 0.05 };
static const leat_schedule step = { LEAT_STEP, .steps = 5, .value = 0.3 };
static const leat_schedule exponential = { LEAT_EXPONENTIAL, .value = 0.9 };

static const leat_schedule warm = { LEAT_WARMUP, .steps = 5, .value = 0.25 };
static const leat_schedule cool = { LEAT_COSINE, .steps = 20, .value = 0.1 };
static const leat_schedule sequential = { LEAT_THEN, .first = &warm, .second = &cool, .steps = 5 };

static const leat_schedule short_warm = { LEAT_WARMUP, .steps = 4, .value = 0.2 };
static const leat_schedule decay = { LEAT_EXPONENTIAL, .value = 0.95 };
static const leat_schedule chained = { LEAT_TIMES, .first = &short_warm, .second = &decay };

Test(schedule, rates_are_pytorch_s)
{
    static const struct {
        const char *name;
        const leat_schedule *schedule;
    } all[] = { { "linear", &linear },           { "cosine", &cosine },         { "step", &step },
                { "exponential", &exponential }, { "sequential", &sequential }, { "chained", &chained } };
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "schedules.safetensors");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        leat_tensor want = find_tensor(&f, all[i].name);
        cr_assert_geq(want.shape.size[0], 12);
        for (int64_t n = 0; n < want.shape.size[0]; n++) {
            double w = (double)want.data[n], got = leat_schedule_at(all[i].schedule, n);
            cr_assert(fabs(got - w) <= (sizeof(leat_real) == 8 ? 1e-14 : 1e-7) * w, "%s at %d: %.17g, not %.17g",
                      all[i].name, (int)n, got, w);
        }
    }
    leat_arena_free(&a);
}

Test(schedule, exact_where_they_start_and_end)
{
    cr_assert_eq(leat_schedule_at(NULL, 5), 1);
    cr_assert_eq(leat_schedule_at(&(leat_schedule){ 0 }, 5), 1);
    cr_assert_eq(leat_schedule_at(&linear, 0), 0.1);
    cr_assert_eq(leat_schedule_at(&linear, -3), 0.1);
    cr_assert_eq(leat_schedule_at(&linear, 7), 1);
    cr_assert_eq(leat_schedule_at(&linear, INT64_MAX), 1);
    cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_WARMUP, .steps = 4 }, 0), 0);
    cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_WARMUP, .steps = 4 }, 3), 0.75);
    cr_assert_eq(leat_schedule_at(&cosine, 0), 1);
    cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_COSINE, .steps = 20 }, 10), 0.5);
    cr_assert_eq(leat_schedule_at(&cosine, 20), 0.05);
    cr_assert_eq(leat_schedule_at(&cosine, 1000), 0.05);
    cr_assert_eq(leat_schedule_at(&step, 4), 1);
    cr_assert_eq(leat_schedule_at(&step, 5), 0.3);
    cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_EXPONENTIAL, .value = 0.5 }, 1000), 0x1p-1000);
    cr_assert_eq(leat_schedule_at(&exponential, 0), 1);
    cr_assert_eq(leat_schedule_at(&exponential, INT64_MAX), 0);
    cr_assert_eq(leat_schedule_at(&sequential, 5), 1);
    cr_assert_eq(leat_schedule_at(&sequential, 25), 0.1);
}

/* No steps at all: what comes after them, at once. */
Test(schedule, none_of_their_steps)
{
    for (int64_t steps = -1; steps <= 0; steps++) {
        cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_WARMUP, .steps = steps, .value = 0.5 }, 0), 1);
        cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_COSINE, .steps = steps, .value = 0.5 }, 0), 0.5);
        cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_STEP, .steps = steps, .value = 0.5 }, 3), 0.125);
        cr_assert_eq(leat_schedule_at(&(leat_schedule){ LEAT_THEN, .steps = steps, .second = &linear }, 0), 0.1);
    }
}
