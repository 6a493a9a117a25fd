/*
 * The rational-quadratic spline (Durkan et al., "Neural spline flows", 2019), over the vectors of simd.h;
 * kernels_impl.h includes this once for each instruction set.
 *
 * VL elements at a time, one to a lane. What belongs to bins is first turned, so that a vector holds the numbers that VL
 * elements have for one bin; then every lane does the same whatever bin its element is in: it passes all bins in their
 * order and keeps what is its own.
 *
 * In a bin from (x0, y0), of width w, height h, with slopes d0 and d1 at its ends, delta = h / w, t = (x - x0) / w,
 * u = 1 - t, q = t u; every term is positive:
 *
 *     y = y0 + h N / D,    N = delta t^2 + d0 q,    D = delta (1 - 2 q) + (d0 + d1) q              equation 4
 *     dy/dx = (delta / D)^2 r,    r = d1 t^2 + 2 delta q + d0 u^2                                  equation 5
 */

typedef struct spline_bin {
    vec number;               /* which */
    vec x0, w, y0, h, d0, d1; /* its ends and its slopes */
    vec raw[2];               /* what the slopes are made of, */
    vmask fixed[2];           /* unless they are 1 */
    vec part[2], before[2];   /* of the exponentials of widths and of heights its own, and the sum before it, */
    vec unit[2];              /* and one over the sum of all */
} spline_bin;

/* 1 / (1 + clip |raw|), which raw is multiplied with; its square is the derivative. */
SIMD_INLINE vec spline_damping(vec raw, leat_real clip)
{
    return v_div(v_set(1), v_fma(v_abs(raw), v_set(clip), v_set(1)));
}

/* The bins' numbers, in place; `damping` gets what they are multiplied with, unless it is NULL. */
SIMD_INLINE void spline_clip(leat_real *raw, int64_t bins, leat_real clip, leat_real *damping)
{
    for (int64_t i = 0; clip != 0 && i < bins * VL; i += VL) {
        vec at = v_load(raw + i), by = spline_damping(at, clip);
        v_store(raw + i, v_mul(at, by));
        if (damping)
            v_store(damping + i, by);
    }
}

/* e times what is returned is softmax(e) over the bins. */
SIMD_INLINE vec spline_softmax(leat_real *e, int64_t bins, leat_real clip, leat_real *damping)
{
    spline_clip(e, bins, clip, damping);
    vec top = v_load(e), total = v_set(0);
    for (int64_t j = 1; j < bins; j++)
        top = v_max(v_load(e + j * VL), top);
    for (int64_t j = 0; j < bins; j++) {
        vec part = map_exp(v_sub(v_load(e + j * VL), top), 1 - VM_BIAS);
        v_store(e + j * VL, part);
        total = v_add(total, part);
    }
    return v_div(v_set(1), total);
}

/* Where the bin begins along axis 0 (x) or 1 (y), and its size: the last one that begins at `at` or before, or, for the
 * other axis, number *number. */
SIMD_INLINE void spline_axis(const leat_spline_constants *k, const leat_real *e, int axis, vec at, bool search,
                             spline_bin *b)
{
    const vec least = v_set(k->least[axis]), scale = v_mul(v_set(k->scale[axis]), b->unit[axis]);
    vec before = v_set(0), number = before, own_begin = before, own_before = before, own_part = before;
    for (int64_t j = 0; j < k->bins; j++) {
        vec part = v_load(e + j * VL), begin = v_fma(before, scale, v_set(k->start[axis][j]));
        vmask reached = j == 0 ? v_eq(number, number) : search ? v_le(begin, at) : v_le(v_set((leat_real)j), b->number);
        number = v_select(reached, v_set((leat_real)j), number);
        own_begin = v_select(reached, begin, own_begin);
        own_part = v_select(reached, part, own_part);
        own_before = v_select(reached, before, own_before);
        before = v_add(before, part);
    }
    b->part[axis] = own_part;
    b->before[axis] = own_before;
    *(axis ? &b->y0 : &b->x0) = own_begin;
    *(axis ? &b->h : &b->w) = v_fma(own_part, scale, least);
    if (search)
        b->number = number;
}

/* A slope from its raw number, and the derivative of that. */
SIMD_INLINE vec spline_slope(const leat_spline_constants *k, vec raw)
{
    if (k->clip[1] != 0)
        return v_exp(v_mul(raw, spline_damping(raw, k->clip[1])));
    return v_add(v_softplus(raw), v_set(k->least_slope));
}

SIMD_INLINE vec spline_slope_backward(const leat_spline_constants *k, vec raw, vec slope)
{
    vec damping = spline_damping(raw, k->clip[1]);
    return k->clip[1] != 0 ? v_mul(slope, v_mul(damping, damping)) : v_sigmoid(raw);
}

/* Linear tails: number j belongs to the knot behind bin j, and the outermost slopes are 1. Circular: to that before it,
 * and the first is the last, too. */
SIMD_INLINE void spline_slopes(const leat_spline_constants *k, const leat_real *raw, spline_bin *b)
{
    const vec first = v_load(raw), last = v_set((leat_real)(k->bins - 1)), none = v_set(-1);
    b->raw[0] = b->raw[1] = first;
    for (int64_t j = 0; j < k->slopes; j++) {
        vec value = v_load(raw + j * VL);
        b->raw[0] = v_select(v_le(v_set((leat_real)(j + k->linear)), b->number), value, b->raw[0]);
        b->raw[1] = v_select(v_le(v_set((leat_real)(j + k->linear - 1)), b->number), value, b->raw[1]);
    }
    if (!k->linear)
        b->raw[1] = v_select(v_eq(b->number, last), first, b->raw[1]);
    b->fixed[0] = v_eq(b->number, k->linear ? v_set(0) : none);
    b->fixed[1] = v_eq(b->number, k->linear ? last : none);
    b->d0 = v_select(b->fixed[0], v_set(1), spline_slope(k, b->raw[0]));
    b->d1 = v_select(b->fixed[1], v_set(1), spline_slope(k, b->raw[1]));
}

/* The bin of `at`, an x (axis 0) or a y; e has widths, heights and slopes, turned, and then the exponentials of
 * the first two, whose dampings are kept unless `damping` is NULL. */
SIMD_INLINE spline_bin spline_find(const leat_spline_constants *k, leat_real e[3][LEAT_SPLINE_BINS * VL], int axis,
                                   vec at, leat_real (*damping)[LEAT_SPLINE_BINS * VL])
{
    spline_bin b;
    b.unit[0] = spline_softmax(e[0], k->bins, k->clip[0], damping ? damping[0] : NULL);
    b.unit[1] = spline_softmax(e[1], k->bins, k->clip[0], damping ? damping[1] : NULL);
    spline_axis(k, e[axis], axis, at, true, &b);
    spline_axis(k, e[!axis], !axis, at, false, &b);
    spline_slopes(k, e[2], &b);
    return b;
}

/* Between 0 and 1, or NaN. */
SIMD_INLINE vec spline_unit(vec t)
{
    return v_min(v_set(1), v_max(v_set(0), t));
}

typedef struct spline_point {
    vec t, u, q, rest, delta, over, under, r, slope; /* rest = 1 - 2 q, over = N, under = D, slope = dy/dx */
} spline_point;

SIMD_INLINE spline_point spline_at(const spline_bin *b, vec t)
{
    spline_point p = { .t = t, .u = v_sub(v_set(1), t), .delta = v_div(b->h, b->w) };
    p.q = v_mul(t, p.u);
    p.rest = v_fnma(v_set(2), p.q, v_set(1));
    p.over = v_fma(v_mul(p.delta, t), t, v_mul(b->d0, p.q));
    p.under = v_fma(v_add(b->d0, b->d1), p.q, v_mul(p.delta, p.rest));
    vec ends = v_fma(v_mul(b->d1, t), t, v_mul(v_mul(b->d0, p.u), p.u));
    p.r = v_fma(v_mul(v_set(2), p.delta), p.q, ends);
    vec ratio = v_div(p.delta, p.under);
    p.slope = v_mul(ratio, v_mul(ratio, p.r));
    return p;
}

/* t from y: the root of a t^2 + b t = c in the form that takes nothing from nothing (equations 6 to 8), with all divided
 * by h, and a step of Newton's on N = part D, which mends what the discriminant has lost. */
SIMD_INLINE vec spline_solve(const spline_bin *bin, vec y)
{
    vec part = spline_unit(v_div(v_sub(y, bin->y0), bin->h)), delta = v_div(bin->h, bin->w);
    vec bend = v_mul(part, v_fnma(v_set(2), delta, v_add(bin->d0, bin->d1)));
    vec a = v_add(bend, v_sub(delta, bin->d0)), b = v_sub(bin->d0, bend), c = v_mul(delta, part);
    vec root = v_sqrt(v_max(v_set(0), v_fma(v_mul(v_set(4), a), c, v_mul(b, b))));
    vec sum = v_add(v_abs(b), root);
    vmask rises = v_ge(b, v_set(0));
    vec t = v_div(v_select(rises, v_add(c, c), sum), v_select(rises, sum, v_add(a, a)));
    spline_point p = spline_at(bin, spline_unit(t));
    vec excess = v_fnma(part, p.under, p.over);
    return spline_unit(v_fnma(excess, v_div(p.under, v_mul(p.delta, p.r)), p.t));
}

/* Circular: x in -bound .. bound, some periods away. */
SIMD_INLINE vec spline_wrap(const leat_spline_constants *k, vec x)
{
    const vec period = v_set(2 * k->bound);
    return k->linear ? x : v_fnma(v_rint(v_div(x, period)), period, x);
}

/* Linear tails: whether x is out of the spline's reach. */
SIMD_INLINE vmask spline_outside(const leat_spline_constants *k, vec x)
{
    return v_gt(v_abs(x), v_set(k->linear ? k->bound : (leat_real)INFINITY));
}

/* y and the log-derivatives of `count` elements from number `from` on. */
static void spline_values(const void *constants, const leat_map_rows *r, int64_t from, int64_t count,
                          leat_real *log_slope)
{
    const leat_spline_constants *k = constants;
    leat_real e[3][LEAT_SPLINE_BINS * VL];
    for (int64_t i = 0, left = count; left > 0; i += VL, left -= VL) {
        int64_t at = from + i, lanes = left < VL ? left : VL;
        spread(r->theta[0] + at * k->bins, lanes, k->bins, e[0]);
        spread(r->theta[1] + at * k->bins, lanes, k->bins, e[1]);
        spread(r->theta[2] + at * k->slopes, lanes, k->slopes, e[2]);
        vec given = load_up_to(r->x + at, left), x = spline_wrap(k, given);
        spline_bin b = spline_find(k, e, k->inverse, x, NULL);
        vec t = k->inverse ? spline_solve(&b, x) : spline_unit(v_div(v_sub(x, b.x0), b.w));
        spline_point p = spline_at(&b, t);
        vec y = k->inverse ? v_fma(b.w, t, b.x0) : v_fma(b.h, v_div(p.over, p.under), b.y0), slope = v_log(p.slope);
        y = v_min(v_set(k->bound), y); /* not by rounding past the end */
        vmask outside = spline_outside(k, given);
        store_up_to(r->y + at, v_select(outside, given, y), left);
        store_up_to(log_slope + i, v_select(outside, v_set(0), k->inverse ? v_neg(slope) : slope), left);
    }
}

static void rational_quadratic(const void *k, const leat_map_rows *r, int64_t rows, int64_t n)
{
    map_rows(spline_values, k, r, rows, n);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* Towards what a bin is made of. */
typedef struct spline_gradient {
    vec x, begin[2], size[2], slope[2]; /* of axis 0 and 1; at the left and the right end */
} spline_gradient;

/* From g of y and l of log(dy/dx). Of the inverse, x = x(y), log(dx/dy) = -log(dy/dx)(x(y)): by the implicit function
 * theorem it is that of the spline at x from other g and l, and that of y is minus this g. */
SIMD_INLINE spline_gradient spline_differentiate(const spline_bin *b, const spline_point *p, vec g, vec l, bool inverse)
{
    const vec two = v_set(2), one = v_set(1);
    vec by_w = v_div(one, b->w), by_under = v_div(one, p->under), by_r = v_div(one, p->r);
    vec tt = v_mul(p->t, p->t), uu = v_mul(p->u, p->u), middle = v_sub(p->u, p->t);
    vec dr = v_fma(p->delta, middle, v_sub(v_mul(b->d1, p->t), v_mul(b->d0, p->u)));
    vec dunder = v_mul(v_fnma(two, p->delta, v_add(b->d0, b->d1)), middle);
    vec log_slope_x = v_mul(v_mul(two, by_w), v_sub(v_mul(dr, by_r), v_mul(dunder, by_under)));
    spline_gradient d;
    if (inverse) {
        g = v_div(v_sub(v_mul(l, log_slope_x), g), p->slope);
        l = v_neg(l);
    }
    vec over = v_mul(p->over, by_under), dx = v_fma(g, p->slope, v_mul(l, log_slope_x));
    vec pull = v_mul(v_mul(g, v_mul(b->h, p->q)), by_under); /* g h q / D */
    vec turned = v_mul(v_fma(b->d1, tt, v_neg(v_mul(b->d0, uu))), by_under);
    vec log_slope_delta = v_fma(p->q, by_r, v_fnma(p->rest, by_under, v_div(one, p->delta)));
    vec ddelta = v_mul(v_fma(pull, turned, v_mul(v_mul(two, l), log_slope_delta)), by_w);
    vec both = v_mul(v_mul(two, p->q), by_under);
    d.x = inverse ? v_neg(g) : dx;
    d.begin[0] = v_neg(dx);
    d.begin[1] = g;
    d.size[0] = v_neg(v_fma(dx, p->t, v_mul(ddelta, p->delta)));
    d.size[1] = v_fma(g, over, ddelta);
    vec complement = v_mul(v_fma(b->d1, p->q, v_mul(p->delta, uu)), by_under); /* 1 - N / D */
    d.slope[0] = v_fma(pull, complement, v_mul(l, v_sub(v_mul(uu, by_r), both)));
    d.slope[1] = v_fnma(pull, over, v_mul(l, v_sub(v_mul(tt, by_r), both)));
    return d;
}

/* From the bin's begin and size to the raw numbers, through the softmax, in its place. */
SIMD_INLINE void spline_axis_backward(const leat_spline_constants *k, leat_real *e, int axis, const spline_bin *b,
                                      const spline_gradient *d, const leat_real *damping)
{
    const vec scale = v_mul(v_set(k->scale[axis]), b->unit[axis]);
    vec begin = v_mul(scale, d->begin[axis]), size = v_mul(scale, d->size[axis]);
    vec mean = v_mul(b->unit[axis], v_fma(begin, b->before[axis], v_mul(size, b->part[axis])));
    for (int64_t j = 0; j < k->bins; j++) {
        vec count = v_set((leat_real)j);
        vec own = v_select(v_lt(count, b->number), begin, v_select(v_eq(count, b->number), size, v_set(0)));
        vec clipped = v_mul(v_load(e + j * VL), v_sub(own, mean));
        vec by = k->clip[0] != 0 ? v_load(damping + j * VL) : v_set(1);
        v_store(e + j * VL, v_mul(clipped, v_mul(by, by)));
    }
}

SIMD_INLINE void spline_slopes_backward(const leat_spline_constants *k, leat_real *raw, const spline_bin *b,
                                        const spline_gradient *d)
{
    const vec zero = v_set(0);
    vec left = v_select(b->fixed[0], zero, v_mul(d->slope[0], spline_slope_backward(k, b->raw[0], b->d0)));
    vec right = v_select(b->fixed[1], zero, v_mul(d->slope[1], spline_slope_backward(k, b->raw[1], b->d1)));
    for (int64_t j = 0; j < k->slopes; j++) {
        int64_t before = j + k->linear - 1;
        vec own = v_select(v_eq(b->number, v_set((leat_real)(before + 1))), left, zero);
        vec next = v_set((leat_real)(before < 0 ? k->bins - 1 : before));
        v_store(raw + j * VL, v_add(own, v_select(v_eq(b->number, next), right, zero)));
    }
}

/* Outside, y = x, whatever the parameters. */
SIMD_INLINE void spline_mask(spline_gradient *d, vmask outside, vec g)
{
    const vec zero = v_set(0);
    d->x = v_select(outside, g, d->x);
    for (int i = 0; i < 2; i++) {
        d->begin[i] = v_select(outside, zero, d->begin[i]);
        d->size[i] = v_select(outside, zero, d->size[i]);
        d->slope[i] = v_select(outside, zero, d->slope[i]);
    }
}

/* `h` has the gradient towards the log-derivative of every element. */
static void spline_gradients(const void *constants, const leat_map_rows *r, int64_t from, int64_t count,
                             const leat_real *h)
{
    const leat_spline_constants *k = constants;
    leat_real e[3][LEAT_SPLINE_BINS * VL], damping[2][LEAT_SPLINE_BINS * VL];
    for (int64_t i = 0, left = count; left > 0; i += VL, left -= VL) {
        int64_t at = from + i, lanes = left < VL ? left : VL;
        spread(r->theta[0] + at * k->bins, lanes, k->bins, e[0]);
        spread(r->theta[1] + at * k->bins, lanes, k->bins, e[1]);
        spread(r->theta[2] + at * k->slopes, lanes, k->slopes, e[2]);
        vec given = load_up_to(r->x + at, left), x = spline_wrap(k, given), g = load_up_to(r->g + at, left);
        spline_bin b = spline_find(k, e, 0, x, damping);
        spline_point p = spline_at(&b, spline_unit(v_div(v_sub(x, b.x0), b.w)));
        spline_gradient d = spline_differentiate(&b, &p, g, load_up_to(h + i, left), k->inverse);
        spline_mask(&d, spline_outside(k, given), g);
        spline_axis_backward(k, e[0], 0, &b, &d, damping[0]);
        spline_axis_backward(k, e[1], 1, &b, &d, damping[1]);
        spline_slopes_backward(k, e[2], &b, &d);
        if (r->dx)
            store_up_to(r->dx + at, d.x, left);
        for (int axis = 0; axis < 2; axis++)
            if (r->dtheta[axis])
                gather(e[axis], lanes, k->bins, r->dtheta[axis] + at * k->bins);
        if (r->dtheta[2])
            gather(e[2], lanes, k->slopes, r->dtheta[2] + at * k->slopes);
    }
}

static void rational_quadratic_backward(const void *k, const leat_map_rows *r, int64_t rows, int64_t n)
{
    map_rows_backward(spline_gradients, k, r, rows, n);
}
