/*
 * The inverse of an elementwise bijector that has none of its own: for every element the x with e(x) = y, by Newton's
 * steps inside a bracket.
 *
 * First the bracket: from a guess it grows to twice its width until e(low) <= y <= e(high), at most 64 times on a side.
 * Then, for the elements that are not done: a step of Newton's, with the derivative that the bijector gives anyway; if
 * that leaves the bracket, or every third time, the middle of the bracket instead, so that the bracket shrinks in any
 * case. An element is done when its bracket or its step is no wider than 4 units of rounding of max(1, |x|), or e(x) is
 * y. What one element does depends on no other.
 *
 * The search is not recorded. What it finds, x0, gets its gradient from d = (y - e(x0; theta)) / e'(x0) with x0 and e'
 * as constants, of which the value is taken off again: by the implicit function theorem dx/dy = 1/e' and dx/dtheta =
 * -(de/dtheta)/e'.
 */
#include "../flow_impl.h"

#include <math.h>
#include <string.h>

enum { MOST_DOUBLINGS = 64, MOST_STEPS = 400 };

typedef struct search {
    const leat_elementwise *e;
    leat_tape *tape;
    const leat_var *theta;
    leat_shape shape;
    int64_t n;
    const leat_real *y;
    leat_real *x, *low, *high, *value, *slope; /* slope: log e'(x) */
    bool *done;
} search;

/* value = e(at), and slope; gives the memory back. */
static bool evaluate(search *s, leat_real *at)
{
    leat_tape_mark mark = leat_tape_save(s->tape);
    leat_pair out = s->e->forward(s->e, leat_const(s->tape, (leat_tensor){ at, s->shape }), s->theta);
    if (leat_tape_code(s->tape))
        return false;
    leat_shape shape = leat_var_shape(out.logdet);
    if (!leat_shape_equal(&shape, &s->shape)) {
        leat_tape_fail(s->tape, LEAT_ESTATE,
                       "%s has no inverse, and the numerical one needs a log-derivative for each element", s->e->name);
        return false;
    }
    size_t bytes = (size_t)s->n * sizeof(leat_real);
    leat_tensor value = leat_value(out.y), slope = leat_value(out.logdet);
    if (bytes) {
        memcpy(s->value, value.data, bytes);
        memcpy(s->slope, slope.data, bytes);
    }
    leat_tape_keep(s->tape, mark, 0, NULL);
    return true;
}

static bool fail_at(const search *s, int64_t i, const char *why)
{
    int64_t columns = s->shape.size[s->shape.rank - 1];
    leat_tape_fail(s->tape, LEAT_ENONFINITE, "the numerical inverse of %s: row %lld, column %lld: %s y = %g",
                   s->e->name, (long long)(i / columns) + 1, (long long)(i % columns) + 1, why, (double)s->y[i]);
    return false;
}

/* Moves one side of the bracket outwards until e has passed y there. */
static bool bracket(search *s, leat_real *side, double direction)
{
    for (int doubling = 0; doubling <= MOST_DOUBLINGS; doubling++) {
        int64_t open = -1;
        if (!evaluate(s, side))
            return false;
        for (int64_t i = 0; i < s->n; i++) {
            if (direction * ((double)s->value[i] - (double)s->y[i]) >= 0)
                continue;
            if (isnan(s->value[i]))
                return fail_at(s, i, "not a number on the way to");
            open = open < 0 ? i : open;
            side[i] = (leat_real)((double)s->x[i] + direction * ldexp(1, doubling));
        }
        if (open < 0)
            return true;
        if (doubling == MOST_DOUBLINGS)
            return fail_at(s, open, "no x reaches");
    }
    return true;
}

/* One step of element i from s->x, where e has been evaluated; true if it is done. */
static bool step(search *s, int64_t i, int number)
{
    double unit = sizeof(leat_real) == 8 ? 0x1p-52 : 0x1p-23;
    double x = (double)s->x[i], excess = (double)s->value[i] - (double)s->y[i];
    double close = 4 * unit * (fabs(x) > 1 ? fabs(x) : 1);
    if (excess == 0)
        return true;
    if (excess > 0)
        s->high[i] = s->x[i];
    else
        s->low[i] = s->x[i];
    double low = (double)s->low[i], high = (double)s->high[i];
    double next = x - excess * (double)s->slope[i];
    if (high - low <= close)
        return true;
    if (fabs(next - x) <= close && next >= low && next <= high) {
        s->x[i] = (leat_real)next;
        return true;
    }
    if (!(next > low && next < high) || number % 3 == 2)
        next = low + (high - low) / 2;
    s->x[i] = (leat_real)next;
    return (leat_real)next == (leat_real)x && number % 3 == 2;
}

/* slope = 1 / e' */
static void invert_slopes(search *s)
{
    leat_tape_mark mark = leat_tape_save(s->tape);
    leat_tensor slopes = { s->slope, s->shape };
    leat_tensor inverse = leat_value(leat_exp(leat_neg(leat_const(s->tape, slopes))));
    if (inverse.data && s->n)
        memcpy(s->slope, inverse.data, (size_t)s->n * sizeof(leat_real));
    leat_tape_keep(s->tape, mark, 0, NULL);
}

static bool solve(search *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (!isfinite(s->y[i]))
            return fail_at(s, i, "nothing gives");
        s->x[i] = s->low[i] = s->high[i] = s->y[i];
    }
    if (!bracket(s, s->low, -1) || !bracket(s, s->high, 1))
        return false;
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = (leat_real)((double)s->low[i] + ((double)s->high[i] - (double)s->low[i]) / 2);
    int64_t left = s->n;
    for (int number = 0; left && number < MOST_STEPS; number++) {
        if (!evaluate(s, s->x))
            return false;
        invert_slopes(s);
        left = 0;
        for (int64_t i = 0; i < s->n; i++) {
            s->done[i] = s->done[i] || step(s, i, number);
            left += !s->done[i];
        }
    }
    for (int64_t i = 0; left && i < s->n; i++) {
        if (!s->done[i])
            return fail_at(s, i, "no end to the search for");
    }
    return true;
}

/* x0, found without recording. */
static leat_var find(const leat_elementwise *e, leat_var y, const leat_var *theta)
{
    leat_tape *t = y.tape;
    search s = { .e = e, .tape = t, .theta = theta, .shape = leat_var_shape(y), .y = leat_value(y).data };
    s.n = leat_shape_count(&s.shape);
    leat_real *memory = leat_tape_alloc(t, (size_t)s.n * 5 * sizeof *memory);
    s.done = leat_tape_alloc(t, (size_t)s.n * sizeof *s.done);
    if (!memory || !s.done)
        return (leat_var){ .tape = t };
    s.x = memory;
    s.low = memory + s.n;
    s.high = memory + 2 * s.n;
    s.value = memory + 3 * s.n;
    s.slope = memory + 4 * s.n;
    for (int64_t i = 0; i < s.n; i++)
        s.done[i] = false;
    bool recording = leat_tape_set_recording(t, false);
    bool found = solve(&s);
    leat_tape_set_recording(t, recording);
    return found ? leat_borrow(t, (leat_tensor){ s.x, s.shape }) : (leat_var){ .tape = t };
}

leat_pair leat_elementwise_inverse(const leat_elementwise *e, leat_var y, const leat_var *theta)
{
    if (e->inverse)
        return e->inverse(e, y, theta);
    leat_pair failed = { { .tape = y.tape }, { .tape = y.tape } };
    if (!leat_ok(y) || leat_tape_code(y.tape))
        return failed;
    leat_var x0 = find(e, y, theta);
    if (!leat_ok(x0))
        return failed;
    if (!leat_tape_recording(y.tape))
        return (leat_pair){ x0, leat_neg(e->forward(e, x0, theta).logdet) };
    leat_pair at = e->forward(e, x0, theta);
    leat_var d = leat_mul(leat_sub(y, at.y), leat_exp(leat_neg(leat_detach(at.logdet))));
    leat_var x = leat_add(x0, leat_sub(d, leat_detach(d)));
    return (leat_pair){ x, leat_neg(e->forward(e, x, theta).logdet) };
}
