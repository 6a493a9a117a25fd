/*
 * Private: the elementwise ops (autograd.h says what each does), a line for each. The kernels for every instruction set,
 * the ops, their gradient checks and the rows of the benchmark follow from these lists; a new op is one new line and its
 * prototype.
 *
 *     draws    what its gradient check draws: any, N(0, 1); away, from 1/2 to 2 with either sign; positive, from 1/2 to
 *              2; apart, never near an integer, nor one input near the other; so that no kink and no pole is near
 *     value    over the vectors of simd.h and vmath.h: x (or a and b) is the input, c0 and c1 are the op's constants
 *     dx       the gradient towards x (da, db: towards a, b): g is that of the value y
 *     reads    what the gradient needs besides g: NONE, X (the inputs), Y or XY; an activation that needs no X is fused
 *              with a matrix product
 */
#ifndef LEAT_ELEMENTWISE_H
#define LEAT_ELEMENTWISE_H

#define LEAT_UNARY_LIST(OP) LEAT_PLAIN_LIST(OP) LEAT_NUMBER_LIST(OP)

/* clang-format off */
/*     name, draws, value, dx, reads; (leat_var x) */
#define LEAT_PLAIN_LIST(OP) \
    OP(neg, any, v_neg(x), v_neg(g), NONE) \
    OP(abs, away, v_abs(x), v_mul(g, v_sign(x)), X) \
    OP(square, any, v_mul(x, x), v_mul(g, v_add(x, x)), X) \
    OP(sqrt, positive, v_sqrt(x), v_div(g, v_add(y, y)), Y) \
    OP(rsqrt, positive, v_div(v_set(1), v_sqrt(x)), v_mul(v_mul(v_mul(g, v_set((vreal)-0.5)), v_mul(y, y)), y), Y) \
    OP(reciprocal, away, v_div(v_set(1), x), v_neg(v_mul(g, v_mul(y, y))), Y) \
    OP(exp, any, v_exp(x), v_mul(g, y), Y) \
    OP(expm1, any, v_expm1(x), v_mul(g, v_exp(x)), X) \
    OP(log, positive, v_log(x), v_div(g, x), X) \
    OP(log1p, positive, v_log1p(x), v_div(g, v_add(x, v_set(1))), X) \
    OP(sin, any, v_sin(x), v_mul(g, v_cos(x)), X) \
    OP(cos, any, v_cos(x), v_neg(v_mul(g, v_sin(x))), X) \
    OP(erf, any, v_erf(x), v_mul(g, v_mul(v_set((vreal)1.1283791670955126), v_bell(x))), X) \
    OP(log_normal_cdf, any, v_log_normal_cdf(x), v_mul(g, v_log_normal_cdf_slope(x)), X) \
    OP(log_normal_ratio, any, v_log_normal_ratio(x), v_neg(v_mul(g, v_add(x, v_log_normal_cdf_slope(x)))), X) \
    OP(sinh, any, v_sinh(x), v_mul(g, v_cosh(x)), X) \
    OP(cosh, any, v_cosh(x), v_mul(g, v_sinh(x)), X) \
    OP(asinh, any, v_asinh(x), v_div(g, v_hypot1(x)), X) \
    OP(tanh, any, v_tanh(x), v_mul(g, v_fnma(y, y, v_set(1))), Y) \
    OP(relu, away, v_relu(x), v_select(v_le(y, v_set(0)), v_set(0), g), Y) \
    OP(sigmoid, any, v_sigmoid(x), v_mul(g, v_mul(y, v_sub(v_set(1), y))), Y) \
    OP(log_sigmoid, any, v_neg(v_softplus(v_neg(x))), v_neg(v_mul(g, v_expm1(y))), Y) \
    OP(softplus, any, v_softplus(x), v_neg(v_mul(g, v_expm1(v_neg(y)))), Y) \
    OP(silu, any, v_silu(x), v_mul(g, v_silu_slope(x)), X) \
    OP(gelu, any, v_gelu(x), v_mul(g, v_gelu_slope(x)), X) \
    OP(gelu_tanh, any, v_mul(x, v_sigmoid(v_gelu_tanh_argument(x))), v_mul(g, v_gelu_tanh_slope(x)), X) \
    OP(softsign, any, v_div(x, v_add(v_set(1), v_abs(x))), \
       v_add(v_div(g, v_mul(v_add(v_set(1), v_abs(x)), v_add(v_set(1), v_abs(x)))), v_sub(y, y)), XY)

/* Those that take numbers too. */
#define LEAT_NUMBER_LIST(OP) \
    OP(leaky_relu, away, v_select(v_gt(x, v_set(0)), x, v_mul(x, c0)), v_select(v_gt(x, v_set(0)), g, v_mul(g, c0)), X) \
    OP(elu, away, v_select(v_gt(x, v_set(0)), x, v_mul(c0, v_expm1(x))), \
       v_select(v_le(x, v_set(0)), v_mul(g, v_mul(c0, v_exp(x))), g), X) \
    OP(add_scalar, any, v_add(x, c0), g, NONE) \
    OP(sub_scalar, any, v_sub(x, c0), g, NONE) \
    OP(rsub_scalar, any, v_sub(c0, x), v_neg(g), NONE) \
    OP(mul_scalar, any, v_mul(x, c0), v_mul(g, c0), NONE) \
    OP(div_scalar, any, v_div(x, c0), v_div(g, c0), NONE) \
    OP(rdiv_scalar, away, v_div(c0, x), v_neg(v_mul(g, v_div(y, x))), XY) \
    OP(pow_scalar, positive, v_pow(x, c0), v_mul(g, v_pow_slope(x, c0)), X) \
    OP(clamp, apart, v_minimum(v_maximum(x, c0), c1), v_select(m_and(v_ge(x, c0), v_le(x, c1)), g, v_set(0)), X)

/*     name, draws, value, da, db, reads; (leat_var a, leat_var b) */
#define LEAT_BINARY_LIST(OP) \
    OP(add, any, v_add(a, b), g, g, NONE) \
    OP(sub, any, v_sub(a, b), g, v_neg(g), NONE) \
    OP(mul, any, v_mul(a, b), v_mul(g, b), v_mul(g, a), X) \
    OP(div, away, v_div(a, b), v_div(g, b), v_neg(v_mul(g, v_div(y, b))), XY) \
    OP(pow, positive, v_pow(a, b), v_mul(g, v_pow_slope(a, b)), v_mul(g, v_pow_slope_exponent(a, b, y)), XY) \
    OP(logaddexp, any, v_logaddexp(a, b), v_mul(g, v_logaddexp_share(a, b)), v_mul(g, v_logaddexp_share(b, a)), X) \
    OP(maximum, apart, v_maximum(a, b), v_mul(g, v_share_of_less(b, a)), v_mul(g, v_share_of_less(a, b)), X) \
    OP(minimum, apart, v_minimum(a, b), v_mul(g, v_share_of_less(a, b)), v_mul(g, v_share_of_less(b, a)), X)

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
