/*
 * Private to tensor and autograd: the elementwise ops, one line each, value and derivative side by side.
 *
 * The expressions are over vectors of simd.h and vmath.h: x is the input, y the value, g the gradient of y, c0 and c1
 * the op's constants. The list makes the kernels (kernels_impl.h), the ops with their gradients and tests (autograd),
 * and the benchmark's rows. `reads` says what the derivative needs besides g: NONE, X, Y or XY.
 */
#ifndef LEAT_ELEMENTWISE_H
#define LEAT_ELEMENTWISE_H

/* clang-format off */
/*    name         value                       dx                                         reads */
#define LEAT_UNARY_LIST(OP)                                                                                            \
    OP(neg,        v_neg(x),                   v_neg(g),                                  NONE)                        \
    OP(exp,        v_exp(x),                   v_mul(g, y),                               Y)                           \
    OP(log,        v_log(x),                   v_div(g, x),                               X)                           \
    OP(tanh,       v_tanh(x),                  v_mul(g, v_fnma(y, y, v_set(1))),          Y)                           \
    OP(sigmoid,    v_sigmoid(x),               v_mul(g, v_mul(y, v_sub(v_set(1), y))),    Y)                           \
    OP(softplus,   v_softplus(x),              v_mul(g, v_sigmoid(x)),                    X)                           \
    OP(relu,       v_relu(x),                  v_select(v_le(y, v_set(0)), v_set(0), g),  Y)                           \
    OP(square,     v_mul(x, x),                v_mul(g, v_add(x, x)),                     X)                           \
    OP(sqrt,       v_sqrt(x),                  v_div(g, v_add(y, y)),                     Y)                           \
    OP(add_scalar, v_add(x, c0),               g,                                         NONE)                        \
    OP(mul_scalar, v_mul(x, c0),               v_mul(g, c0),                              NONE)                        \
    OP(rsub_scalar, v_sub(c0, x),              v_neg(g),                                  NONE)                        \
    OP(div_scalar, v_div(x, c0),               v_div(g, c0),                              NONE)                        \
    OP(rdiv_scalar, v_div(c0, x),              v_neg(v_mul(g, v_div(y, x))),              XY)

/*    name  value         da                        db */
#define LEAT_BINARY_LIST(OP)                                                                                           \
    OP(add, v_add(a, b),  g,                        g)                                                                 \
    OP(sub, v_sub(a, b),  g,                        v_neg(g))                                                          \
    OP(mul, v_mul(a, b),  v_mul(g, b),              v_mul(g, a))                                                       \
    OP(div, v_div(a, b),  v_div(g, b),              v_neg(v_mul(g, v_div(y, b))))
/* clang-format on */

#define LEAT_ENUM_ROW(name, ...) LEAT_UNARY_##name,
enum { LEAT_UNARY_LIST(LEAT_ENUM_ROW) LEAT_UNARY_COUNT };
#undef LEAT_ENUM_ROW
#define LEAT_ENUM_ROW(name, ...) LEAT_BINARY_##name,
enum { LEAT_BINARY_LIST(LEAT_ENUM_ROW) LEAT_BINARY_COUNT };
#undef LEAT_ENUM_ROW

#endif
