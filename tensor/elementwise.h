/*
 * The elementwise ops: each is a line with what it takes, its value and its derivative, under the comment that says
 * what it does. Everything else follows from these lists: the declarations (autograd.h), the kernels for every
 * instruction set, the ops with their gradients, their gradient checks, and the rows of the benchmark. A new op is one
 * new line.
 *
 *     leat_var leat_<name> <parameters>
 *     draws    what its gradient check draws: any, N(0, 1); away, from 1/2 to 2 with either sign; positive, from 1/2 to
 *              2; apart, never near an integer, nor one input near the other; so that no kink and no pole is near
 *     value    over the vectors of simd.h and vmath.h: x (or a and b) is the input, c0 and c1 are the op's constants
 *     dx       the gradient towards x (da, db: towards a, b): g is that of the value y
 *     reads    what dx needs besides g: NONE, X, Y or XY; an activation that needs no X is fused with a matrix product
 *
 * Inputs of two broadcast. NaN stays NaN, unless said; at kinks the gradient is PyTorch's.
 */
#ifndef LEAT_ELEMENTWISE_H
#define LEAT_ELEMENTWISE_H

/* clang-format off */
/*     name, draws, parameters, value, dx, reads */
#define LEAT_UNARY_LIST(OP) \
    OP(neg, any, (leat_var x), v_neg(x), v_neg(g), NONE) \
    /* |x|; gradient 0 at 0 */ \
    OP(abs, away, (leat_var x), v_abs(x), v_mul(g, v_sign(x)), X) \
    /* x^2 */ \
    OP(square, any, (leat_var x), v_mul(x, x), v_mul(g, v_add(x, x)), X) \
    OP(sqrt, positive, (leat_var x), v_sqrt(x), v_div(g, v_add(y, y)), Y) \
    /* 1 / sqrt(x) */ \
    OP(rsqrt, positive, (leat_var x), v_div(v_set(1), v_sqrt(x)), \
       v_mul(v_mul(v_mul(g, v_set((vreal)-0.5)), v_mul(y, y)), y), Y) \
    /* 1 / x */ \
    OP(reciprocal, away, (leat_var x), v_div(v_set(1), x), v_neg(v_mul(g, v_mul(y, y))), Y) \
    \
    OP(exp, any, (leat_var x), v_exp(x), v_mul(g, y), Y) \
    /* exp(x) - 1 and log(1 + x), exact near x = 0 */ \
    OP(expm1, any, (leat_var x), v_expm1(x), v_mul(g, v_exp(x)), X) \
    OP(log1p, positive, (leat_var x), v_log1p(x), v_div(g, v_add(x, v_set(1))), X) \
    /* The natural logarithm; log 0 = -inf, of a negative number NaN. */ \
    OP(log, positive, (leat_var x), v_log(x), v_div(g, x), X) \
    OP(tanh, any, (leat_var x), v_tanh(x), v_mul(g, v_fnma(y, y, v_set(1))), Y) \
    /* For any argument, however large. */ \
    OP(sin, any, (leat_var x), v_sin(x), v_mul(g, v_cos(x)), X) \
    OP(cos, any, (leat_var x), v_cos(x), v_neg(v_mul(g, v_sin(x))), X) \
    /* The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */ \
    OP(erf, any, (leat_var x), v_erf(x), v_mul(g, v_mul(v_set((vreal)1.1283791670955126), v_bell(x))), X) \
    \
    /* ---- activations ---- \
     * max(x, 0); gradient 0 at 0 */ \
    OP(relu, away, (leat_var x), v_relu(x), v_select(v_le(y, v_set(0)), v_set(0), g), Y) \
    /* x where x > 0, else slope x; gradient `slope` at 0 */ \
    OP(leaky_relu, away, (leat_var x, double slope), v_select(v_gt(x, v_set(0)), x, v_mul(x, c0)), \
       v_select(v_gt(x, v_set(0)), g, v_mul(g, c0)), X) \
    /* x where x > 0, else alpha (exp(x) - 1) */ \
    OP(elu, away, (leat_var x, double alpha), v_select(v_gt(x, v_set(0)), x, v_mul(c0, v_expm1(x))), \
       v_select(v_le(x, v_set(0)), v_mul(g, v_mul(c0, v_exp(x))), g), X) \
    /* 1 / (1 + exp(-x)) */ \
    OP(sigmoid, any, (leat_var x), v_sigmoid(x), v_mul(g, v_mul(y, v_sub(v_set(1), y))), Y) \
    /* log sigmoid(x) = -softplus(-x), without overflow */ \
    OP(log_sigmoid, any, (leat_var x), v_neg(v_softplus(v_neg(x))), v_neg(v_mul(g, v_expm1(y))), Y) \
    /* log(1 + exp(x)), for any x without overflow */ \
    OP(softplus, any, (leat_var x), v_softplus(x), v_neg(v_mul(g, v_expm1(v_neg(y)))), Y) \
    /* x sigmoid(x); NaN at -inf, as in PyTorch */ \
    OP(silu, any, (leat_var x), v_silu(x), v_mul(g, v_silu_slope(x)), X) \
    /* x Phi(x), where Phi is the distribution function of N(0, 1) */ \
    OP(gelu, any, (leat_var x), v_gelu(x), v_mul(g, v_gelu_slope(x)), X) \
    /* The approximation of gelu by x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3). */ \
    OP(gelu_tanh, any, (leat_var x), v_mul(x, v_sigmoid(v_gelu_tanh_argument(x))), v_mul(g, v_gelu_tanh_slope(x)), X) \
    /* x / (1 + |x|); it and its gradient are NaN at infinities, as in PyTorch */ \
    OP(softsign, any, (leat_var x), v_div(x, v_add(v_set(1), v_abs(x))), \
       v_add(v_div(g, v_mul(v_add(v_set(1), v_abs(x)), v_add(v_set(1), v_abs(x)))), v_sub(y, y)), XY) \
    \
    /* ---- with numbers ---- \
     * x + c, x - c, c - x, x c, x / c, c / x */ \
    OP(add_scalar, any, (leat_var x, double c), v_add(x, c0), g, NONE) \
    OP(sub_scalar, any, (leat_var x, double c), v_sub(x, c0), g, NONE) \
    OP(rsub_scalar, any, (double c, leat_var x), v_sub(c0, x), v_neg(g), NONE) \
    OP(mul_scalar, any, (leat_var x, double c), v_mul(x, c0), v_mul(g, c0), NONE) \
    OP(div_scalar, any, (leat_var x, double c), v_div(x, c0), v_div(g, c0), NONE) \
    OP(rdiv_scalar, away, (double c, leat_var x), v_div(c0, x), v_neg(v_mul(g, v_div(y, x))), XY) \
    /* x^c; special values as in C's pow; gradient 0 for c = 0 */ \
    OP(pow_scalar, positive, (leat_var x, double c), v_pow(x, c0), v_mul(g, v_pow_slope(x, c0)), X) \
    /* min(max(x, low), high), so high where low > high; gradient 1 where low <= x <= high, 0 elsewhere */ \
    OP(clamp, apart, (leat_var x, double low, double high), v_minimum(v_maximum(x, c0), c1), \
       v_select(m_and(v_ge(x, c0), v_le(x, c1)), g, v_set(0)), X)

/*     name, draws, value, da, db; all (leat_var a, leat_var b) */
#define LEAT_BINARY_LIST(OP) \
    OP(add, any, v_add(a, b), g, g) \
    OP(sub, any, v_sub(a, b), g, v_neg(g)) \
    OP(mul, any, v_mul(a, b), v_mul(g, b), v_mul(g, a)) \
    OP(div, away, v_div(a, b), v_div(g, b), v_neg(v_mul(g, v_div(y, b)))) \
    /* a^b; special values as in C's pow. The gradient towards a is 0 where b = 0, that towards b where a = 0 <= b; \
     * for negative a it is NaN. */ \
    OP(pow, positive, v_pow(a, b), v_mul(g, v_pow_slope(a, b)), v_mul(g, v_pow_slope_exponent(a, b, y))) \
    /* The greater, the lesser; where equal, each gets half of the gradient; where one is NaN, both get all of it. */ \
    OP(maximum, apart, v_maximum(a, b), v_mul(g, v_share_of_less(b, a)), v_mul(g, v_share_of_less(a, b))) \
    OP(minimum, apart, v_minimum(a, b), v_mul(g, v_share_of_less(a, b)), v_mul(g, v_share_of_less(b, a)))

/*     name, value: 1 where it holds, else 0; (leat_var a, leat_var b), no gradient */
#define LEAT_COMPARISON_LIST(OP) \
    OP(eq, v_eq(a, b)) \
    OP(ne, m_not(v_eq(a, b))) \
    OP(lt, v_lt(a, b)) \
    OP(le, v_le(a, b)) \
    OP(gt, v_gt(a, b)) \
    OP(ge, v_ge(a, b))
/* clang-format on */

#endif
