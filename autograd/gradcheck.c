/*
 * The gradient checker: backward against central differences, and the rest of what backward promises.
 *
 * The function under test runs on a tape of the checker's own, whose memory starts out as NaN, so that an op that
 * leaves a part of its output or gradient unwritten shows, and which hides from backward what its op says that it does
 * not read. The inputs are leaves of which the checker holds value and gradient.
 */
#include "tape.h"

#include <math.h>
#include <string.h>

#ifdef LEAT_DOUBLE
static const double small_step = 6.0554544523933395e-06; /* eps^(1/3), best for two points */
static const double large_step = 7.4009597974140505e-04; /* eps^(1/5), best for four */
static const double default_rtol = 1e-7, default_atol = 1e-8;
#else
static const double small_step = 4.9215666011518501e-03;
static const double large_step = 4.1234622211652934e-02;
static const double default_rtol = 2e-2, default_atol = 1e-3;
#endif

typedef struct check {
    leat_differentiable *f;
    void *user;
    int n;
    const leat_tensor *in;
    leat_gradcheck_opts o;
    leat_gradcheck_report *report;
    leat_arena arena;
    leat_allocator poisoned;
    leat_tape *tape;
    leat_rng tape_rng, noise;
    leat_var *vars;
    leat_leaf *leaves;    /* value: a copy of the input, of which one element is moved at a time */
    leat_real **analytic; /* the gradients under test */
    leat_tensor cotangent;
    leat_real *ahead; /* f(x + h) while f(x - h) is computed */
} check;

static bool fail(check *k, const char *reason)
{
    k->report->reason = reason;
    if (k->tape && leat_tape_code(k->tape))
        k->report->status = *leat_tape_status(k->tape);
    return false;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* All bits set is a NaN in every precision. */
static void *poisoned_allocate(void *user, size_t bytes)
{
    void *block = leat_arena_alloc(user, bytes);
    if (block)
        memset(block, 0xFF, bytes);
    return block;
}

static void poisoned_release(void *user, void *block)
{
    (void)user, (void)block; /* goes with the arena */
}

static int64_t input_count(const check *k, int i)
{
    return leat_shape_count(&k->in[i].shape);
}

static size_t input_bytes(const check *k, int i)
{
    return (size_t)input_count(k, i) * sizeof(leat_real);
}

static leat_real *take_numbers(check *k, int64_t count)
{
    return leat_arena_alloc(&k->arena, (size_t)count * sizeof(leat_real));
}

static bool prepare(check *k)
{
    size_t n = (size_t)k->n;
    k->poisoned = (leat_allocator){ poisoned_allocate, poisoned_release, &k->arena };
    k->tape = leat_tape_new(&(leat_tape_opts){ .allocator = &k->poisoned, .seed = k->o.seed, .stream = 2 });
    k->vars = leat_arena_alloc(&k->arena, n * sizeof *k->vars);
    k->leaves = leat_arena_zalloc(&k->arena, n * sizeof *k->leaves);
    k->analytic = leat_arena_zalloc(&k->arena, n * sizeof *k->analytic);
    if (!k->tape || !k->vars || !k->leaves || !k->analytic)
        return fail(k, "out of memory");
    k->tape->hides = true;
    k->tape_rng = *leat_tape_rng(k->tape);
    for (int i = 0; i < k->n; i++) {
        int64_t count = input_count(k, i);
        if (count < 0)
            return fail(k, "an input has an impossible shape");
        leat_leaf *leaf = &k->leaves[i];
        leaf->shape = k->in[i].shape;
        leaf->value = take_numbers(k, count);
        leaf->grad = take_numbers(k, count);
        k->analytic[i] = take_numbers(k, count);
        if (!leaf->value || !leaf->grad || !k->analytic[i])
            return fail(k, "out of memory");
        if (count)
            memcpy(leaf->value, k->in[i].data, input_bytes(k, i));
    }
    return true;
}

/* ---- the function under test ------------------------------------------------------------------------------------- */

/* Every time with the same random numbers. */
static bool evaluate(check *k, bool recording, leat_var *y)
{
    leat_tape_reset(k->tape);
    leat_tape_set_recording(k->tape, recording);
    *leat_tape_rng(k->tape) = k->tape_rng;
    for (int i = 0; i < k->n; i++)
        k->vars[i] = leat_leaf_var(k->tape, &k->leaves[i]);
    *y = k->f(k->tape, k->n, k->vars, k->user);
    if (y->tape != k->tape || !leat_ok(*y) || leat_tape_code(k->tape))
        return fail(k, "the function failed");
    leat_shape shape = leat_var_shape(*y);
    if (k->cotangent.data && !leat_shape_equal(&shape, &k->cotangent.shape))
        return fail(k, "the function's result changes its shape");
    return true;
}

static bool draw_cotangent(check *k, leat_var y)
{
    leat_rng rng = leat_rng_new(k->o.seed, 0);
    k->cotangent = leat_tensor_new(&k->arena, leat_var_shape(y), NULL);
    int64_t count = leat_shape_count(&k->cotangent.shape);
    k->ahead = take_numbers(k, count);
    if (!k->cotangent.data || !k->ahead)
        return fail(k, "out of memory");
    leat_rng_fill_normal(&rng, k->cotangent.data, count);
    return true;
}

/* Backward into gradients that hold noise: to be overwritten, or, if they `count`, to be added to. */
static bool backward(check *k, leat_var y, bool count)
{
    leat_clear_grads(k->tape);
    for (int i = 0; i < k->n; i++) {
        leat_rng_fill_normal(&k->noise, k->leaves[i].grad, input_count(k, i));
        k->leaves[i].has_grad = count;
    }
    return leat_vjp(y, k->cotangent) == LEAT_OK || fail(k, "backward failed");
}

/* A gradient that backward does not reach is zero. */
static void collect(check *k)
{
    for (int i = 0; i < k->n; i++) {
        if (k->leaves[i].has_grad)
            memcpy(k->analytic[i], k->leaves[i].grad, input_bytes(k, i));
        else
            memset(k->analytic[i], 0, input_bytes(k, i));
    }
}

/* ---- differences ------------------------------------------------------------------------------------------------- */

/* <cotangent, f(x + h e) - f(x - h e)> / 2h, with the step that x really makes. */
static bool slope(check *k, int input, int64_t at, double h, double *out)
{
    leat_real *x = &k->leaves[input].value[at];
    const leat_real was = *x, above = (leat_real)((double)was + h), below = (leat_real)((double)was - h);
    int64_t count = leat_shape_count(&k->cotangent.shape);
    leat_var y;
    double sum = 0;
    *x = above;
    bool ok = evaluate(k, false, &y);
    if (ok) {
        memcpy(k->ahead, leat_value(y).data, (size_t)count * sizeof *k->ahead);
        *x = below;
        ok = evaluate(k, false, &y);
    }
    const leat_real *behind = leat_value(y).data;
    for (int64_t j = 0; j < count && ok; j++)
        sum += (double)k->cotangent.data[j] * ((double)k->ahead[j] - (double)behind[j]);
    *x = was; /* only now: the result may be a view of the input */
    *out = sum / ((double)above - (double)below);
    return ok;
}

static double error_of(const check *k, double a, double n)
{
    double largest = fabs(a) > fabs(n) ? fabs(a) : fabs(n);
    double error = fabs(a - n) / (k->o.atol + k->o.rtol * largest);
    return error <= (double)INFINITY ? error : (double)INFINITY; /* NaN too */
}

/* Two points, and where they disagree four: (4 slope(h) - slope(2h)) / 3. The better counts. */
static bool check_element(check *k, int input, int64_t at)
{
    double x = (double)k->in[input].data[at], scale = fabs(x) > 1 ? fabs(x) : 1;
    double a = (double)k->analytic[input][at], n, near, far;
    if (!slope(k, input, at, small_step * scale, &n))
        return false;
    double error = error_of(k, a, n);
    if (!(error <= 1)) {
        if (!slope(k, input, at, large_step * scale, &near) || !slope(k, input, at, 2 * large_step * scale, &far))
            return false;
        double better = (4 * near - far) / 3;
        if (error_of(k, a, better) < error) {
            n = better;
            error = error_of(k, a, better);
        }
    }
    leat_gradcheck_report *r = k->report;
    if (error > r->error || r->input < 0) {
        r->input = input;
        r->index = at;
        r->analytic = a;
        r->numeric = n;
        r->error = error;
    }
    return true;
}

static bool check_differences(check *k)
{
    for (int i = 0; i < k->n; i++) {
        for (int64_t j = 0; j < input_count(k, i); j++) {
            if (!check_element(k, i, j))
                return false;
        }
    }
    return k->report->error <= 1 || fail(k, "the gradient is not that of the function");
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static bool check_untouched(check *k)
{
    for (int i = 0; i < k->n; i++) {
        if (input_count(k, i) && memcmp(k->leaves[i].value, k->in[i].data, input_bytes(k, i)) != 0)
            return fail(k, "an input was written to");
    }
    return true;
}

static bool check_again(check *k, leat_var y)
{
    if (!backward(k, y, false))
        return false;
    for (int i = 0; i < k->n; i++) {
        if (k->leaves[i].has_grad && memcmp(k->leaves[i].grad, k->analytic[i], input_bytes(k, i)) != 0)
            return fail(k, "backward gives other numbers when repeated");
    }
    return true;
}

static bool check_addition(check *k, leat_var y)
{
    leat_rng noise = k->noise;
    if (!backward(k, y, true))
        return false;
    for (int i = 0; i < k->n; i++) {
        int64_t count = input_count(k, i);
        leat_real *before = take_numbers(k, count);
        if (!before)
            return fail(k, "out of memory");
        leat_rng_fill_normal(&noise, before, count);
        for (int64_t j = 0; j < count; j++) {
            double sum = (double)before[j] + (double)k->analytic[i][j];
            if (!(error_of(k, (double)k->leaves[i].grad[j], sum) <= 1))
                return fail(k, "the gradient is not added to what is there");
        }
    }
    return true;
}

static bool check_vanishing(check *k)
{
    int64_t total = 0;
    for (int i = 0; i < k->n; i++) {
        for (int64_t j = 0; j < input_count(k, i); j++) {
            if (k->analytic[i][j] != 0)
                return true;
        }
        total += input_count(k, i);
    }
    bool empty = total == 0 || leat_shape_count(&k->cotangent.shape) == 0;
    return empty || k->o.may_vanish || fail(k, "the whole gradient is zero");
}

static bool run(check *k)
{
    leat_var y;
    if (!prepare(k) || !evaluate(k, true, &y) || !draw_cotangent(k, y) || !backward(k, y, false))
        return false;
    collect(k);
    leat_clear_grads(k->tape);
    if (!check_untouched(k) || !check_differences(k) || !check_vanishing(k) || !evaluate(k, true, &y))
        return false;
    bool ok = check_again(k, y) && check_again(k, y) /* NOLINT: a second time */ && check_addition(k, y) &&
              check_untouched(k);
    leat_clear_grads(k->tape); /* parameters that the function uses have collected some too */
    return ok;
}

bool leat_gradcheck(leat_differentiable *f, void *user, int n, const leat_tensor *in, const leat_gradcheck_opts *o,
                    leat_gradcheck_report *report)
{
    leat_gradcheck_report ignored;
    check k = { .f = f, .user = user, .n = n, .in = in, .report = report ? report : &ignored };
    if (o)
        k.o = *o;
    if (!(k.o.rtol > 0))
        k.o.rtol = default_rtol;
    if (!(k.o.atol > 0))
        k.o.atol = default_atol;
    *k.report = (leat_gradcheck_report){ .reason = "", .input = -1 };
    k.noise = leat_rng_new(k.o.seed, 1);
    leat_arena_init(&k.arena, NULL);
    k.report->ok = run(&k);
    leat_tape_free(k.tape);
    leat_arena_free(&k.arena);
    return k.report->ok;
}
