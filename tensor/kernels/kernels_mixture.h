/*
 * The logit of a mixture of logistics (Ho et al., "Flow++", 2019), over the vectors of simd.h, and its inverse;
 * kernels_impl.h includes this once for each instruction set.
 *
 * With z_k = (x - mean_k) / scale_k, s_k = sigmoid(z_k), and weights pi_k that need not add up to 1,
 *
 *     L = log sum pi_k s_k,    R = log sum pi_k (1 - s_k),    y = L - R,
 *     dy/dx = sum p_k (1 - s_k) / scale_k + sum q_k s_k / scale_k,    p_k = pi_k s_k / e^L,    q_k = pi_k (1 - s_k) / e^R:
 *
 * neither tail saturates, and nothing is taken from what is nearly the same. s_k is e^min(z, 0) / (1 + e^-|z|), so its
 * largest logarithm over k is known before any logarithm is taken. Terms below 2^MIXTURE_LEAST of the largest are not
 * exact, so that no product is below the least normal number; where dy/dx is that small (between components that are far
 * apart), its logarithm is that of the density f = sum pi_k s_k (1 - s_k) / scale_k, less L, R and the sum of weights.
 */

#define MIXTURE_EACH (LEAT_MIXTURE_COMPONENTS * VL)
#ifdef LEAT_SIMD_DOUBLE
#define MIXTURE_LEAST (-510)
#define MIXTURE_FLAT  0x1p-400
#else
#define MIXTURE_LEAST (-62)
#define MIXTURE_FLAT  0x1p-20F
#endif

/* Number k of every array at [k VL]. */
typedef struct mixture {
    int64_t components;
    leat_real weight[MIXTURE_EACH], mean[MIXTURE_EACH], log_scale[MIXTURE_EACH];
    leat_real unit[MIXTURE_EACH]; /* 1 / scale */
    /* At the latest x: z; s or 1 - s, whichever is less; and of e^L, e^R and f the parts, but for a factor. */
    leat_real z[MIXTURE_EACH], tail[MIXTURE_EACH], left[MIXTURE_EACH], right[MIXTURE_EACH], density[MIXTURE_EACH];
} mixture;

/* Sums and the logarithms of the factors. */
typedef struct mixture_point {
    vec top_left, left, top_right, right, slope;
} mixture_point;

static void mixture_load(mixture *m, const leat_map_rows *r, int64_t at, int64_t lanes)
{
    leat_real *const group[] = { m->weight, m->mean, m->log_scale };
    for (int g = 0; g < 3; g++)
        spread(r->theta[g] + at * m->components, lanes, m->components, group[g]);
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        vec s = v_min(v_set(LEAT_MIXTURE_WIDEST), v_max(v_set(LEAT_MIXTURE_NARROWEST), v_load(m->log_scale + k)));
        v_store(m->log_scale + k, s);
        v_store(m->unit + k, v_exp(v_neg(s)));
    }
}

static mixture_point mixture_at(mixture *m, vec x)
{
    const vec zero = v_set(0), one = v_set(1);
    mixture_point p = { v_set((vreal)-INFINITY), zero, v_set((vreal)-INFINITY), zero, zero };
    vec rise = zero, fall = zero;
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        vec z = v_mul(v_sub(x, v_load(m->mean + k)), v_load(m->unit + k)), weight = v_load(m->weight + k);
        vec left = v_add(weight, v_min(zero, z)), right = v_sub(weight, v_max(zero, z));
        v_store(m->z + k, z);
        v_store(m->left + k, left);
        v_store(m->right + k, right);
        p.top_left = v_max(left, p.top_left);
        p.top_right = v_max(right, p.top_right);
    }
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        vec z = v_load(m->z + k), unit = v_load(m->unit + k), e = map_exp(v_neg(v_abs(z)), MIXTURE_LEAST);
        vec body = v_div(one, v_add(one, e)), tail = v_mul(e, body);
        vec left = v_mul(map_exp(v_sub(v_load(m->left + k), p.top_left), MIXTURE_LEAST), body);
        vec right = v_mul(map_exp(v_sub(v_load(m->right + k), p.top_right), MIXTURE_LEAST), body);
        vmask above = v_gt(z, zero);
        p.left = v_add(p.left, left);
        p.right = v_add(p.right, right);
        rise = v_fma(v_mul(left, unit), v_select(above, tail, body), rise);
        fall = v_fma(v_mul(right, unit), v_select(above, body, tail), fall);
        v_store(m->tail + k, tail);
        v_store(m->left + k, left);
        v_store(m->right + k, right);
    }
    p.slope = v_add(v_div(rise, p.left), v_div(fall, p.right));
    return p;
}

SIMD_INLINE vec mixture_logit(const mixture_point *p)
{
    return v_add(v_sub(p->top_left, p->top_right), v_log(v_div(p->left, p->right)));
}

/* The parts of f; their sum and the logarithm of the factor. */
static vec mixture_density(mixture *m, vec *top)
{
    vec total = v_set(0);
    *top = v_set((vreal)-INFINITY);
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        vec size = v_add(v_abs(v_load(m->z + k)), v_load(m->log_scale + k)), log = v_sub(v_load(m->weight + k), size);
        v_store(m->density + k, log);
        *top = v_max(log, *top);
    }
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        vec body = v_sub(v_set(1), v_load(m->tail + k));
        vec part = v_mul(map_exp(v_sub(v_load(m->density + k), *top), MIXTURE_LEAST), v_mul(body, body));
        v_store(m->density + k, part);
        total = v_add(total, part);
    }
    return total;
}

/* log dy/dx = log f - L - R + log(e^L + e^R) */
static vec mixture_log_slope(mixture *m, const mixture_point *p)
{
    vmask flat = v_lt(p->slope, v_set(MIXTURE_FLAT));
    vec slope = v_log(p->slope), top;
    if (!m_any(flat))
        return slope;
    vec density = v_log(mixture_density(m, &top));
    vec minus_left = v_neg(v_add(p->top_left, v_log(p->left))),
        minus_right = v_neg(v_add(p->top_right, v_log(p->right)));
    return v_select(flat, v_add(v_add(top, density), v_logaddexp(minus_left, minus_right)), slope);
}

/* x from y. Each component alone has y = z, so the root is between the least and the greatest of mean + y scale: from the
 * middle by Newton's steps, or, where one leaves the bracket or is not half of the step before, by halves. A lane that is
 * done stays as it is. */
static vec mixture_search(mixture *m, vec y)
{
    const vec far = v_set((vreal)1e30), one = v_set(1), half = v_set((vreal)0.5);
    const vec unit = v_set(sizeof(vreal) == 8 ? (vreal)0x1p-52 : (vreal)0x1p-23);
    vec low = far, high = v_neg(far);
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        vec root = v_add(v_load(m->mean + k), v_div(y, v_load(m->unit + k)));
        low = v_min(low, root);
        high = v_max(high, root);
    }
    low = v_max(v_neg(far), low);
    high = v_min(far, high);
    vec x = v_fma(v_sub(high, low), half, low), before = v_sub(high, low);
    vec enough = v_mul(v_add(unit, unit), v_max(one, v_abs(y)));
    vmask open = v_gt(before, v_set(0));
    for (int turn = 0; turn < 1000 && m_any(open); turn++) {
        mixture_point p = mixture_at(m, x);
        vec excess = v_sub(mixture_logit(&p), y), step = v_div(excess, p.slope), next = v_sub(x, step);
        vec close = v_mul(unit, v_max(one, v_abs(x)));
        high = v_select(v_gt(excess, v_set(0)), x, high);
        low = v_select(v_gt(excess, v_set(0)), low, x);
        vec middle = v_mul(v_sub(high, low), half);
        vec inside = v_min(high, v_max(low, next));
        vmask found = v_le(v_abs(excess), enough), tiny = v_le(v_abs(step), close);
        vmask halves = v_le(v_abs(v_add(step, step)), v_abs(before));
        vmask newton = m_or(tiny, m_and(v_eq(inside, next), halves));
        before = v_select(newton, step, middle);
        open = m_and(open, m_not(found));
        x = v_select(open, v_select(newton, inside, v_add(low, middle)), x);
        open = m_and(open, m_not(m_or(tiny, v_le(v_add(middle, middle), close))));
    }
    return x;
}

static void mixture_values(const void *constants, const leat_map_rows *r, int64_t from, int64_t count, leat_real *each)
{
    const leat_mixture_constants *c = constants;
    mixture m;
    m.components = c->components;
    for (int64_t i = 0, left = count; left > 0; i += VL, left -= VL) {
        vec given = load_up_to(r->x + from + i, left);
        mixture_load(&m, r, from + i, left < VL ? left : VL);
        vec x = c->inverse ? mixture_search(&m, given) : given;
        mixture_point p = mixture_at(&m, x);
        vec slope = mixture_log_slope(&m, &p), found = v_select(v_eq(slope, slope), x, slope); /* NaN in parameters */
        store_up_to(r->y + from + i, c->inverse ? found : mixture_logit(&p), left);
        store_up_to(each + i, c->inverse ? v_neg(slope) : slope, left);
    }
}

static void logistic_mixture(const void *k, const leat_map_rows *r, int64_t rows, int64_t n)
{
    map_rows(mixture_values, k, r, rows, n);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* Component k's p, q and r = its part of f; and what y and log dy/dx have of its z. */
typedef struct mixture_part {
    vec p, q, r, y, slope;
} mixture_part;

SIMD_INLINE mixture_part mixture_part_of(const mixture *m, int64_t k, vec by_left, vec by_right, vec by_density)
{
    vec tail = v_load(m->tail + k), body = v_sub(v_set(1), tail);
    vmask above = v_gt(v_load(m->z + k), v_set(0));
    vec s = v_select(above, body, tail), rest = v_select(above, tail, body);
    mixture_part a = { .p = v_mul(v_load(m->left + k), by_left),
                       .q = v_mul(v_load(m->right + k), by_right),
                       .r = v_mul(v_load(m->density + k), by_density) };
    a.y = v_fma(a.p, rest, v_mul(a.q, s));
    a.slope = v_fnma(v_sub(a.r, a.q), s, v_mul(v_sub(a.r, a.p), rest));
    return a;
}

/* From g of y and h of log dy/dx at x, in the place of the parameters; returns that of x. The inverse, x = x(y) and -log
 * dy/dx there, has by the implicit function theorem the gradients of the way there from other g and h, and that of y is
 * minus that g. */
static vec mixture_differentiate(mixture *m, vec x, vec g, vec h, bool inverse)
{
    const vec one = v_set(1), zero = v_set(0);
    mixture_point at = mixture_at(m, x);
    vec log_slope = mixture_log_slope(m, &at), top, y = mixture_logit(&at), dx = zero;
    vec by_density = v_div(one, mixture_density(m, &top)), by_left = v_div(one, at.left),
        by_right = v_div(one, at.right);
    vec below = v_sigmoid(y), above = v_sigmoid(v_neg(y));
    if (inverse) {
        vec bend = zero;
        for (int64_t k = 0; k < m->components * VL; k += VL)
            bend = v_fma(mixture_part_of(m, k, by_left, by_right, by_density).slope, v_load(m->unit + k), bend);
        vec steep = v_exp(v_min(v_set((vreal)VM_EXP_HIGH / 2), v_neg(log_slope)));
        g = v_mul(v_fma(h, bend, v_neg(g)), steep);
        h = v_neg(h);
    }
    for (int64_t k = 0; k < m->components * VL; k += VL) {
        mixture_part a = mixture_part_of(m, k, by_left, by_right, by_density);
        vec dz = v_fma(g, a.y, v_mul(h, a.slope)), unit = v_load(m->unit + k), s = v_load(m->log_scale + k);
        vec weight = v_fnma(a.q, below, v_fnma(a.p, above, a.r));
        vmask clamped = m_or(v_le(s, v_set(LEAT_MIXTURE_NARROWEST)), v_ge(s, v_set(LEAT_MIXTURE_WIDEST)));
        dx = v_fma(dz, unit, dx);
        v_store(m->weight + k, v_fma(g, v_sub(a.p, a.q), v_mul(h, weight)));
        v_store(m->mean + k, v_neg(v_mul(dz, unit)));
        v_store(m->log_scale + k, v_select(clamped, zero, v_neg(v_fma(dz, v_load(m->z + k), v_mul(h, a.r)))));
    }
    return inverse ? v_neg(g) : dx;
}

static void mixture_gradients(const void *constants, const leat_map_rows *r, int64_t from, int64_t count,
                              const leat_real *each)
{
    const leat_mixture_constants *c = constants;
    mixture m;
    m.components = c->components;
    const leat_real *const group[] = { m.weight, m.mean, m.log_scale };
    for (int64_t i = 0, left = count; left > 0; i += VL, left -= VL) {
        int64_t at = from + i, lanes = left < VL ? left : VL;
        mixture_load(&m, r, at, lanes);
        vec dx = mixture_differentiate(&m, load_up_to(r->x + at, left), load_up_to(r->g + at, left),
                                       load_up_to(each + i, left), c->inverse);
        if (r->dx)
            store_up_to(r->dx + at, dx, left);
        for (int g = 0; g < 3; g++) {
            if (r->dtheta[g])
                gather(group[g], lanes, m.components, r->dtheta[g] + at * m.components);
        }
    }
}

static void logistic_mixture_backward(const void *k, const leat_map_rows *r, int64_t rows, int64_t n)
{
    map_rows_backward(mixture_gradients, k, r, rows, n);
}
