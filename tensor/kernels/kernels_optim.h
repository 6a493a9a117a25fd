/*
 * The optimisers' kernels, a part of kernels_impl.h: one loop for all, and for each the arithmetic of one number.
 *
 * A step function gets the parameter p, its gradient g and what the optimiser remembers of it, s[0], s[1], ...; it
 * changes s and returns the new p. The names are those of LEAT_STEP_LIST (kernels.h), which makes kernels of them.
 */

SIMD_INLINE vec step_sgd(vec p, vec g, vec *s, const leat_step_constants *k)
{
    (void)s;
    return v_fnma(v_set(k->lr), v_fma(v_set(k->weight_decay), p, g), p);
}

SIMD_INLINE vec step_sgd_momentum(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    s[0] = v_fma(v_set(k->momentum), s[0], g);
    return v_fnma(v_set(k->lr), s[0], p);
}

SIMD_INLINE vec step_sgd_nesterov(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    s[0] = v_fma(v_set(k->momentum), s[0], g);
    return v_fnma(v_set(k->lr), v_fma(v_set(k->momentum), s[0], g), p);
}

/* beta s + rest x, where rest is 1 - beta */
SIMD_INLINE vec step_average(leat_real beta, vec s, leat_real rest, vec x)
{
    return v_fma(v_set(beta), s, v_mul(v_set(rest), x));
}

/* The same of x^2, with PyTorch's order of the product. */
SIMD_INLINE vec step_average_square(leat_real beta, vec s, leat_real rest, vec x)
{
    return v_fma(v_set(beta), s, v_mul(v_mul(v_set(rest), x), x));
}

SIMD_INLINE vec step_adam_undecayed(vec p, vec g, vec *s, const leat_step_constants *k)
{
    s[0] = step_average(k->beta1, s[0], k->rest1, g);
    s[1] = step_average_square(k->beta2, s[1], k->rest2, g);
    vec scale = v_fma(v_sqrt(s[1]), v_set(k->correction2), v_set(k->eps));
    return v_fnma(v_set(k->lr * k->correction1), v_div(s[0], scale), p);
}

SIMD_INLINE vec step_adam(vec p, vec g, vec *s, const leat_step_constants *k)
{
    return step_adam_undecayed(p, v_fma(v_set(k->weight_decay), p, g), s, k);
}

SIMD_INLINE vec step_adamw(vec p, vec g, vec *s, const leat_step_constants *k)
{
    return step_adam_undecayed(v_fnma(v_set(k->shrink), p, p), g, s, k);
}

SIMD_INLINE vec step_adamax(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    s[0] = step_average(k->beta1, s[0], k->rest1, g);
    s[1] = v_max(v_mul(v_set(k->beta2), s[1]), v_add(v_abs(g), v_set(k->eps)));
    return v_fnma(v_set(k->lr * k->correction1), v_div(s[0], s[1]), p);
}

SIMD_INLINE vec step_rmsprop(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    s[0] = step_average_square(k->beta2, s[0], k->rest2, g);
    return v_fnma(v_set(k->lr), v_div(g, v_add(v_sqrt(s[0]), v_set(k->eps))), p);
}

SIMD_INLINE vec step_rmsprop_momentum(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    s[0] = step_average_square(k->beta2, s[0], k->rest2, g);
    s[1] = v_fma(v_set(k->momentum), s[1], v_div(g, v_add(v_sqrt(s[0]), v_set(k->eps))));
    return v_fnma(v_set(k->lr), s[1], p);
}

/* sqrt(mean of squares - square of mean) + eps. Rounding could make the difference less than 0, and its root NaN. */
SIMD_INLINE vec step_centered_scale(vec g, vec *s, const leat_step_constants *k)
{
    s[0] = step_average_square(k->beta2, s[0], k->rest2, g);
    s[1] = step_average(k->beta2, s[1], k->rest2, g);
    vec variance = v_max(v_fnma(s[1], s[1], s[0]), v_set(0));
    return v_add(v_sqrt(variance), v_set(k->eps));
}

SIMD_INLINE vec step_rmsprop_centered(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    return v_fnma(v_set(k->lr), v_div(g, step_centered_scale(g, s, k)), p);
}

SIMD_INLINE vec step_rmsprop_centered_momentum(vec p, vec g, vec *s, const leat_step_constants *k)
{
    g = v_fma(v_set(k->weight_decay), p, g);
    s[2] = v_fma(v_set(k->momentum), s[2], v_div(g, step_centered_scale(g, s, k)));
    return v_fnma(v_set(k->lr), s[2], p);
}

/* No optimiser: p is the average, g what is averaged. */
SIMD_INLINE vec step_ema(vec p, vec g, vec *s, const leat_step_constants *k)
{
    (void)s;
    return v_fma(v_set(k->rest1), v_sub(g, p), p);
}

#define OPTIM_KERNEL(name, states)                                                                                     \
    static void step_##name##_kernel(leat_real *p, const leat_real *g, leat_real *const *state, int64_t n,             \
                                     const leat_step_constants *constants)                                             \
    {                                                                                                                  \
        const leat_step_constants k = *constants;                                                                      \
        leat_real *at[LEAT_STEP_STATES] = { NULL };                                                                    \
        vec s[LEAT_STEP_STATES];                                                                                       \
        for (int j = 0; j < (states); j++)                                                                             \
            at[j] = state[j];                                                                                          \
        int64_t i = 0;                                                                                                 \
        for (; i <= n - VL; i += VL) {                                                                                 \
            for (int j = 0; j < (states); j++)                                                                         \
                s[j] = v_load(at[j] + i);                                                                              \
            v_store(p + i, step_##name(v_load(p + i), v_load(g + i), s, &k));                                          \
            for (int j = 0; j < (states); j++)                                                                         \
                v_store(at[j] + i, s[j]);                                                                              \
        }                                                                                                              \
        if (i < n) {                                                                                                   \
            for (int j = 0; j < (states); j++)                                                                         \
                s[j] = v_load_part(at[j] + i, n - i);                                                                  \
            v_store_part(p + i, step_##name(v_load_part(p + i, n - i), v_load_part(g + i, n - i), s, &k), n - i);      \
            for (int j = 0; j < (states); j++)                                                                         \
                v_store_part(at[j] + i, s[j], n - i);                                                                  \
        }                                                                                                              \
    }
LEAT_STEP_LIST(OPTIM_KERNEL)

#define OPTIM_ROW(name, states) [LEAT_STEP_##name] = step_##name##_kernel,
