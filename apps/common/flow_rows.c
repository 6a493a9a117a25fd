/* Rows in a flow's units on their way into a table. */
#include "flow_rows.h"

#include <math.h>

bool app_rows_are_doubles(const leat_flow *f)
{
    leat_units u;
    return leat_flow_units(f, &u);
}

/* 10^n for n from 0 to 22, where it is exact. */
static double power_of_ten(int n)
{
    double power = 1;
    while (n-- > 0)
        power *= 10;
    return power;
}

/* A column of standard deviation sd keeps decimals down to a quarter of a float's last place: 10^-digits is the first
 * power at or below that, found without a logarithm, which not every libm rounds alike. */
static void round_column(leat_doubles x, int64_t column, double sd)
{
    double grain = sd * 0x1p-26;
    int digits = 0;
    while (digits < 22 && grain * power_of_ten(digits) < 1)
        digits++;
    while (digits <= 0 && digits > -22 && grain / power_of_ten(1 - digits) >= 1)
        digits--;
    double power = power_of_ten(digits < 0 ? -digits : digits);
    if (digits == 22 && grain * power < 1) /* finer than powers of ten are exact */
        return;
    for (int64_t i = 0; i < x.rows; i++) {
        double *v = &x.data[i * x.columns + column], steps = rint(digits > 0 ? *v * power : *v / power);
        if (fabs(steps) < 0x1p53)
            *v = digits > 0 ? steps / power : steps * power;
    }
}

leat_code app_flow_rows_append(leat_table_writer *w, const leat_flow *f, leat_doubles x, leat_status *s)
{
    leat_units u;
    if (leat_flow_units(f, &u)) {
        for (int64_t j = 0; j < u.columns; j++)
            if (!u.lower || (isinf(u.lower[j]) && isinf(u.upper[j])))
                round_column(x, j, u.sd[j]);
        return leat_table_append_doubles(w, x.data, x.rows, s);
    }
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    leat_tensor reals = app_to_reals(&scratch, x, x.rows, s);
    leat_code code = reals.data ? leat_table_append(w, &reals, s) : LEAT_ENOMEM;
    leat_arena_free(&scratch);
    return code;
}

leat_tensor app_to_reals(leat_arena *a, leat_doubles x, int64_t most_rows, leat_status *s)
{
    int64_t rows = x.rows < most_rows ? x.rows : most_rows;
    leat_tensor out = leat_tensor_new(a, LEAT_SHAPE(rows, x.columns), s);
    for (int64_t i = 0; out.data && i < rows * x.columns; i++)
        out.data[i] = (leat_real)x.data[i];
    return out;
}
