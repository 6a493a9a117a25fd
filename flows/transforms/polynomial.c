/* Polynomials that increase, as elementwise bijectors: integrals of sums of squares (Jaini et al. 2019), and Bernstein's
 * with rising coefficients (Ramasinghe et al. 2021). Beyond the bound each goes on as a line, so that every y is reached. */
#include "../flow_impl.h"

/* The line through the map's value and slope at c, the number within the bound next to x. */
static leat_pair go_on(leat_var x, leat_var c, leat_var y, leat_var slope)
{
    leat_var rest = leat_mul(slope, leat_sub(x, c));
    return (leat_pair){ leat_add(y, rest), leat_log(slope) };
}

/* 0, 1, .. n - 1 */
static leat_var counted(leat_tape *t, int64_t n)
{
    return leat_sub_scalar(leat_cumsum(leat_full(t, LEAT_SHAPE(n), 1), 0), 1);
}

static leat_var over(leat_var x, int64_t axis)
{
    return leat_sum_axes(x, 1, (int[]){ (int)axis }, false);
}

static bool bounded(const leat_elementwise *e)
{
    return e->number[0] > 0 && e->number[0] < 1e30 && e->number[1] >= 0;
}

/* ---- sums of squares ---------------------------------------------------------------------------------------------- */

/* y = t + least x + the integral from 0 to x of the mean over k of p_k^2, p_k(u) = 1 + sum over j of a_kj (u / bound)^j.
 * With b_kj the terms of p_k(x), that of p_k^2 is x times the sum over i, j of b_ki b_kj / (i + j + 1). */
static leat_pair sos_forward(const leat_elementwise *e, leat_var x, const leat_var *theta)
{
    double bound = e->number[0], least = e->number[1], count = e->number[2];
    leat_shape shape = leat_var_shape(x);
    int64_t k = count >= 1 && count <= 64 ? (int64_t)count : 1, terms = e->theta[0].width / k;
    if (!leat_elementwise_demand(e, x, bounded(e) && (double)k == count && terms > 0 && terms * k == e->theta[0].width))
        return leat_failed_pair(x);
    if (shape.rank + 2 > LEAT_MAX_RANK || terms > 64)
        return leat_failed_pair(leat_tape_fail(x.tape, LEAT_ESHAPE, "%s of rank %d and degree %lld", e->name,
                                               shape.rank, (long long)terms - 1));
    shape.size[shape.rank++] = k;
    shape.size[shape.rank++] = terms;
    leat_var c = leat_clamp(x, -bound, bound), powers = counted(x.tape, terms), from = leat_add_scalar(powers, 1);
    leat_var shares = leat_reciprocal(leat_add(leat_unsqueeze(powers, -1), from));
    leat_var one = leat_pad(leat_full(x.tape, LEAT_SHAPE(1), 1), 0, 0, terms - 1, 0);
    leat_var u = leat_div_scalar(leat_unsqueeze(leat_unsqueeze(c, -1), -1), bound);
    leat_var b = leat_mul(leat_add(leat_reshape(theta[0], shape), one), leat_pow(u, powers));
    leat_var pairs = over(leat_mul(leat_matmul(b, shares), b), -1);
    leat_var slope = leat_add_scalar(leat_mean_axes(leat_square(over(b, -1)), 1, (int[]){ -1 }, false), least);
    leat_var mean = leat_add_scalar(leat_mean_axes(pairs, 1, (int[]){ -1 }, false), least);
    return go_on(x, c, leat_add(leat_mul(c, mean), theta[1]), slope);
}

const leat_elementwise leat_default_sos_polynomial = {
    .name = "sos_polynomial",
    .theta = { { "coefficients", 3 * 5 }, { "t", 1 } },
    .forward = sos_forward,
    .number = { 5, 1e-3, 3 }, /* bound, least slope, polynomials */
};

const leat_elementwise *leat_sos_polynomial(leat_model *m, int64_t polynomials, int64_t degree, double bound)
{
    int64_t count = polynomials ? polynomials : 3, terms = (degree ? degree : 4) + 1;
    leat_elementwise *e = leat_elementwise_copy(m, &leat_default_sos_polynomial, count * terms, bound);
    if (e)
        e->number[2] = (double)count;
    return e;
}

/* ---- Bernstein's ------------------------------------------------------------------------------------------------- */

/* n over k s^k (1 - s)^(n - k), k = 0 .. n, [.., n + 1] */
static leat_var basis(leat_var s, int64_t n)
{
    leat_real *binomial = leat_tape_alloc(s.tape, (size_t)(n + 1) * sizeof *binomial);
    if (!binomial)
        return (leat_var){ .tape = s.tape };
    double value = 1;
    for (int64_t k = 0; k <= n; k++) {
        binomial[k] = (leat_real)value;
        value = value * (double)(n - k) / (double)(k + 1);
    }
    leat_var powers = counted(s.tape, n + 1), up = leat_unsqueeze(s, -1), down = leat_rsub_scalar(1, up);
    up = leat_pow(up, powers);
    down = leat_pow(down, leat_rsub_scalar((double)n, powers));
    return leat_mul(leat_mul(up, down), leat_borrow(s.tape, (leat_tensor){ binomial, LEAT_SHAPE(n + 1) }));
}

/* y = -bound + sum over k = 1 .. n of (d_1 + .. + d_k) b_kn(s), s = (x + bound) / (2 bound), the d parts of 2 bound:
 * positive, so dy/dx = n / (2 bound) sum of d_k b_k-1,n-1(s) is. */
static leat_pair bernstein_forward(const leat_elementwise *e, leat_var x, const leat_var *theta)
{
    double bound = e->number[0], least = e->number[1];
    int64_t n = e->theta[0].width;
    if (!leat_elementwise_demand(e, x, bounded(e) && n >= 2 && n <= 64 && (double)n * least < 1))
        return leat_failed_pair(x);
    leat_var c = leat_clamp(x, -bound, bound), parts = leat_parts_of_one(theta[0], least);
    leat_var s = leat_div_scalar(leat_add_scalar(c, bound), 2 * bound), high = leat_slice(basis(s, n), -1, 1, n);
    leat_var slope = leat_mul_scalar(over(leat_mul(parts, basis(s, n - 1)), -1), (double)n);
    leat_var y = leat_mul_scalar(over(leat_mul(leat_cumsum(parts, -1), high), -1), 2 * bound);
    return go_on(x, c, leat_sub_scalar(y, bound), slope);
}

const leat_elementwise leat_default_bernstein_polynomial = {
    .name = "bernstein_polynomial",
    .theta = { { "rises", 16 } },
    .forward = bernstein_forward,
    .number = { 5, 1e-3 }, /* bound, least rise */
};

const leat_elementwise *leat_bernstein_polynomial(leat_model *m, int64_t degree, double bound)
{
    return leat_elementwise_copy(m, &leat_default_bernstein_polynomial, degree, bound);
}
