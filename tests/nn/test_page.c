/*
 * The tables of nn/README.md hold what they say. page_rows.inc has a line ROW(KIND, "PyTorch's expression", leat's) for
 * every pair of them; page.safetensors, made by PyTorch, has the value of every expression on the left.
 */
#include "nn_helpers.h"

#include "../../nn/nn.h"

#include <math.h>
#include <string.h>

static leat_arena arena;
static leat_safetensors page;
static leat_model *m;
static leat_tape *t;

static void setup(void)
{
    leat_status s = { 0 };
    leat_arena_init(&arena, NULL);
    cr_assert_eq(leat_safetensors_read(LEAT_FIXTURES "/nn/page.safetensors", &arena, &page, &s), LEAT_OK, "%s",
                 s.message);
    m = leat_model_new(NULL);
    t = leat_model_tape(m, NULL);
}

static void teardown(void)
{
    leat_model_free(m);
    leat_arena_free(&arena);
}

TestSuite(page, .init = setup, .fini = teardown);

static const leat_tensor *expected(const char *torch)
{
    const leat_tensor *want = leat_safetensors_find(&page, torch);
    cr_assert(want, "page.safetensors has no '%s': the page has changed, make_page.py must be run", torch);
    return want;
}

static leat_var input(const char *name)
{
    return leat_const(t, *expected(name));
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void check_value(const char *torch, const char *leat, leat_var got)
{
    const leat_tensor *want = expected(torch);
    const double tolerance = sizeof(leat_real) == 4 ? 2e-6 : 1e-13;
    char a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    cr_assert(leat_ok(got), "%s: %s", leat, leat_tape_errmsg(t));
    leat_tensor value = leat_value(got);
    cr_assert(leat_shape_equal(&value.shape, &want->shape), "%s is %s, and %s is %s", torch,
              leat_shape_print(&want->shape, a), leat, leat_shape_print(&value.shape, b));
    for (int64_t i = 0; i < leat_shape_count(&value.shape); i++) {
        double x = (double)value.data[i], y = (double)want->data[i];
        cr_assert(fabs(x - y) <= tolerance * fmax(1, fabs(y)), "%s: element %d is %.17g, not %.17g", leat, (int)i, x,
                  y);
    }
}

#define ROW(kind, torch, ...) ROW_##kind(torch, __VA_ARGS__)
#define ROW_VALUE(torch, ...) check_value(torch, #__VA_ARGS__, __VA_ARGS__);
#define ROW_LAYER(torch, ...)
#define ROW_INIT(torch, ...)
#define ROW_OPTIM(torch, ...)
#define ROW_SCHEDULE(torch, ...)

Test(page, values_are_pytorchs)
{
    leat_var x = input("in.x"), y = input("in.y"), p = input("in.p"), w = input("in.w"), b = input("in.b");
    leat_var q = input("in.q"), k = input("in.k"), a = input("in.a"), v = input("in.v"), i = input("in.i");
    leat_real numbers[6];
    memcpy(numbers, leat_value(v).data, sizeof numbers);
    for (int j = 0; j < 6; j++)
        for (int l = j + 1; l < 6; l++)
            if (numbers[l] < numbers[j]) {
                leat_real least = numbers[l];
                numbers[l] = numbers[j];
                numbers[j] = least;
            }
    leat_var sorted_v = leat_const(t, (leat_tensor){ numbers, LEAT_SHAPE(6) });
#include "page_rows.inc"
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

typedef struct naming {
    leat_visitor visitor;
    const char *torch;
    int count;
} naming;

static void check_shape(naming *n, const char *name, const leat_shape *shape)
{
    char full[256], a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    snprintf(full, sizeof full, "%s.%s", n->torch, name);
    const leat_tensor *want = leat_safetensors_find(&page, full);
    cr_assert(want, "%s has no '%s'", n->torch, name);
    cr_assert(leat_shape_equal(shape, &want->shape), "%s is %s, not %s", full, leat_shape_print(shape, a),
              leat_shape_print(&want->shape, b));
    n->count++;
}

static void see_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    char path[128];
    (void)owner;
    check_shape((naming *)v, leat_param_path(p, path, sizeof path), &p->leaf.shape);
}

static void see_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    (void)owner;
    check_shape((naming *)v, b->name, &b->value.shape);
}

static void check_layer(const char *torch, const char *leat, leat_module *layer)
{
    naming n = { .visitor = { .param = see_param, .buffer = see_buffer }, .torch = torch };
    int want = 0;
    expected(torch);
    cr_assert(layer, "%s: %s", leat, leat_model_errmsg(m));
    leat_visit(&n.visitor, layer);
    for (int64_t i = 0; i < page.count; i++)
        want += strncmp(page.entries[i].name, torch, strlen(torch)) == 0 && page.entries[i].name[strlen(torch)] == '.';
    cr_assert_eq(n.count, want, "%s has %d parameters and buffers, %s has %d", torch, want, leat, n.count);
    leat_var y = leat_forward(layer, input("in.x"));
    cr_assert(leat_ok(y), "%s: %s", leat, leat_tape_errmsg(t));
}

/* A model of its own for each: the first use of a layer seals it. */
#undef ROW_VALUE
#undef ROW_LAYER
#define ROW_VALUE(torch, ...)
#define ROW_LAYER(torch, ...)                                                                                          \
    leat_model_free(m);                                                                                                \
    m = leat_model_new(NULL);                                                                                          \
    t = leat_model_tape(m, NULL);                                                                                      \
    check_layer(torch, #__VA_ARGS__, __VA_ARGS__);

Test(page, layers_have_pytorchs_parameters)
{
#include "page_rows.inc"
}

/* ---- initialisers, optimisers, schedules ------------------------------------------------------------------------- */

#undef ROW_LAYER
#undef ROW_INIT
#define ROW_LAYER(torch, ...)
#define ROW_INIT(torch, ...)                                                                                           \
    leat_model_free(m);                                                                                                \
    m = leat_model_new(NULL);                                                                                          \
    net = leat_linear_layer(m, 30, 40);                                                                                \
    __VA_ARGS__;                                                                                                       \
    check_spread(torch, #__VA_ARGS__);

/* 1,200 numbers: their spread is PyTorch's within five standard errors, counted generously, and so is the largest. */
static void check_spread(const char *torch, const char *leat)
{
    const leat_tensor *want = expected(torch);
    double square[2] = { 0 }, most[2] = { 0 };
    const leat_param *weight = leat_find_param(m, "weight");
    cr_assert(weight, "%s: %s", leat, leat_model_errmsg(m));
    for (int i = 0; i < 1200; i++) {
        double x[2] = { (double)weight->leaf.value[i], (double)want->data[i] };
        for (int j = 0; j < 2; j++) {
            square[j] += x[j] * x[j];
            most[j] = fmax(most[j], fabs(x[j]));
        }
    }
    cr_assert(fabs(sqrt(square[0]) - sqrt(square[1])) <= 0.15 * sqrt(square[1]), "%s: %g, not %g", leat, square[0],
              square[1]);
    cr_assert(fabs(most[0] - most[1]) <= 0.5 * most[1], "%s: up to %g, not %g", leat, most[0], most[1]);
}

Test(page, initialisers_spread_like_pytorchs)
{
    leat_module *net;
#include "page_rows.inc"
}

#undef ROW_INIT
#undef ROW_OPTIM
#undef ROW_SCHEDULE
#define ROW_INIT(torch, ...)
#define ROW_OPTIM(torch, ...)                                                                                          \
    expected(torch);                                                                                                   \
    optim = __VA_ARGS__;                                                                                               \
    cr_assert(optim, "%s: %s", #__VA_ARGS__, leat_model_errmsg(m));                                                    \
    leat_tape_reset(t);                                                                                                \
    leat_backward(leat_sum(leat_forward(net, input("in.x"))));                                                         \
    cr_assert_eq(leat_optim_step(optim), LEAT_OK, "%s: %s", #__VA_ARGS__, leat_optim_status(optim)->message);
#define ROW_SCHEDULE(torch, ...)                                                                                       \
    cr_assert(fabs(leat_schedule_at(&__VA_ARGS__, 7) - (double)expected(torch)->data[0]) <                             \
                  (sizeof(leat_real) == 4 ? 1e-7 : 1e-14),                                                             \
              "%s: %.17g, not %.17g", #__VA_ARGS__, leat_schedule_at(&__VA_ARGS__, 7),                                 \
              (double)expected(torch)->data[0]);

Test(page, optimisers_step_and_schedules_are_pytorchs)
{
    leat_module *net = leat_linear_layer(m, 6, 5);
    leat_optim *optim;
#include "page_rows.inc"
}
