/* How parameters start. Element i comes from number i of the parameter's random stream. */
#include "nn.h"

#include <math.h>

static void fill_constant(leat_rng *rng, leat_tensor t, double a, double b)
{
    (void)rng, (void)b;
    int64_t n = leat_shape_count(&t.shape);
    for (int64_t i = 0; i < n; i++)
        t.data[i] = (leat_real)a;
}

static void fill_uniform(leat_rng *rng, leat_tensor t, double a, double b)
{
    leat_rng_fill_uniform(rng, t.data, leat_shape_count(&t.shape), a, b);
}

/* Rounded once, so that the float library starts from the double library's numbers, rounded. */
static void fill_normal(leat_rng *rng, leat_tensor t, double a, double b)
{
    int64_t n = leat_shape_count(&t.shape);
    for (int64_t i = 0; i < n; i++)
        t.data[i] = (leat_real)fma(b, leat_rng_normal(rng), a);
}

leat_init leat_init_zeros(void)
{
    return leat_init_constant(0);
}

leat_init leat_init_constant(double value)
{
    return (leat_init){ .fill = fill_constant, .a = value };
}

leat_init leat_init_uniform(double low, double high)
{
    return (leat_init){ .fill = fill_uniform, .a = low, .b = high };
}

leat_init leat_init_normal(double mean, double sd)
{
    return (leat_init){ .fill = fill_normal, .a = mean, .b = sd };
}

leat_init leat_init_values(const double *values)
{
    return (leat_init){ .values = values };
}

/* ---- by fan ------------------------------------------------------------------------------------------------------ */

static leat_code check_rank(const char *init, const leat_shape *shape, leat_status *s)
{
    char text[LEAT_SHAPE_TEXT];
    if (shape->rank >= 2)
        return LEAT_OK;
    return leat_fail(s, LEAT_ESHAPE, "%s initialisation of %s, which has no rows and columns", init,
                     leat_shape_print(shape, text));
}

static double fan_of(const leat_shape *shape, leat_fan fan)
{
    double product = 1;
    for (int axis = 0; axis < shape->rank; axis++) {
        if (axis != (fan == LEAT_FAN_IN ? 0 : 1))
            product *= (double)shape->size[axis];
    }
    return product;
}

static double xavier_variance(const leat_shape *shape, double gain)
{
    return 2 * gain * gain / (fan_of(shape, LEAT_FAN_IN) + fan_of(shape, LEAT_FAN_OUT));
}

static double kaiming_variance(const leat_shape *shape, double gain, double fan)
{
    return gain * gain / fan_of(shape, fan == LEAT_FAN_OUT ? LEAT_FAN_OUT : LEAT_FAN_IN);
}

/* U(-bound, bound) has the variance bound^2 / 3. */
static void fill_centered_uniform(leat_rng *rng, leat_tensor t, double variance)
{
    double bound = sqrt(3 * variance);
    fill_uniform(rng, t, -bound, bound);
}

static leat_code fill_xavier_uniform(leat_init_job *j, leat_tensor t, double gain, double unused)
{
    (void)unused;
    if (check_rank("Xavier", &t.shape, j->status))
        return LEAT_ESHAPE;
    fill_centered_uniform(j->rng, t, xavier_variance(&t.shape, gain));
    return LEAT_OK;
}

static leat_code fill_xavier_normal(leat_init_job *j, leat_tensor t, double gain, double unused)
{
    (void)unused;
    if (check_rank("Xavier", &t.shape, j->status))
        return LEAT_ESHAPE;
    fill_normal(j->rng, t, 0, sqrt(xavier_variance(&t.shape, gain)));
    return LEAT_OK;
}

static leat_code fill_kaiming_uniform(leat_init_job *j, leat_tensor t, double gain, double fan)
{
    if (check_rank("Kaiming", &t.shape, j->status))
        return LEAT_ESHAPE;
    fill_centered_uniform(j->rng, t, kaiming_variance(&t.shape, gain, fan));
    return LEAT_OK;
}

static leat_code fill_kaiming_normal(leat_init_job *j, leat_tensor t, double gain, double fan)
{
    if (check_rank("Kaiming", &t.shape, j->status))
        return LEAT_ESHAPE;
    fill_normal(j->rng, t, 0, sqrt(kaiming_variance(&t.shape, gain, fan)));
    return LEAT_OK;
}

leat_init leat_init_xavier_uniform(double gain)
{
    return (leat_init){ .try_fill = fill_xavier_uniform, .a = gain };
}

leat_init leat_init_xavier_normal(double gain)
{
    return (leat_init){ .try_fill = fill_xavier_normal, .a = gain };
}

leat_init leat_init_kaiming_uniform(double gain, leat_fan fan)
{
    return (leat_init){ .try_fill = fill_kaiming_uniform, .a = gain, .b = fan };
}

leat_init leat_init_kaiming_normal(double gain, leat_fan fan)
{
    return (leat_init){ .try_fill = fill_kaiming_normal, .a = gain, .b = fan };
}

/* ---- orthogonal -------------------------------------------------------------------------------------------------- */

/*
 * QR by Householder's reflections I - tau v v^T, in double and row-major. Both products of a reflection run along rows,
 * so sums go down the rows in order, and vectors lie along them.
 */
typedef struct qr {
    int64_t rows, cols;     /* rows >= cols */
    double *a;              /* [rows, cols]: the matrix, then v of column j at and below its diagonal, then Q */
    double *tau, *sign, *w; /* [cols] each; sign: of R's diagonal; w: v^T a */
} qr;

/* Columns from .. cols-1 of rows j .. minus tau v (v^T of the same), v in column j. */
static void reflect(const qr *q, int64_t j, int64_t from)
{
    for (int64_t c = from; c < q->cols; c++)
        q->w[c] = 0;
    for (int64_t i = j; i < q->rows; i++) {
        const double *row = q->a + i * q->cols, v = row[j];
        for (int64_t c = from; c < q->cols; c++)
            q->w[c] += v * row[c];
    }
    for (int64_t i = j; i < q->rows; i++) {
        double *row = q->a + i * q->cols, scaled = q->tau[j] * row[j];
        for (int64_t c = from; c < q->cols; c++)
            row[c] -= scaled * q->w[c];
    }
}

/* Column j becomes v, and R[j][j] = -sign(a[j][j]) |column| is known by its sign. A column with nothing below the
 * diagonal stays as it is. */
static void make_reflection(const qr *q, int64_t j)
{
    double below = 0, *top = q->a + j * q->cols + j, first = *top;
    for (int64_t i = j + 1; i < q->rows; i++)
        below = fma(q->a[i * q->cols + j], q->a[i * q->cols + j], below);
    double norm = sqrt(fma(first, first, below));
    q->sign[j] = (first < 0) == (below > 0) ? 1 : -1;
    *top = first - q->sign[j] * norm;
    q->tau[j] = below > 0 ? 1 / (norm * (norm + fabs(first))) : 0; /* 2 / v^T v */
}

/* Q diag(sign) in place of the reflections: their product, from the last to the first, times diag(sign). */
static void form_q(const qr *q)
{
    for (int64_t j = q->cols - 1; j >= 0; j--) {
        double *diagonal = q->a + j * q->cols + j;
        for (int64_t c = j + 1; c < q->cols; c++)
            diagonal[c - j] = 0; /* the identity's row j; R stood here */
        reflect(q, j, j + 1);
        double scaled = -q->sign[j] * q->tau[j] * *diagonal;
        for (int64_t i = j; i < q->rows; i++)
            q->a[i * q->cols + j] *= scaled;
        *diagonal += q->sign[j];
        for (int64_t i = 0; i < j; i++)
            q->a[i * q->cols + j] = 0;
    }
}

static leat_code fill_orthogonal(leat_init_job *j, leat_tensor t, double gain, double unused)
{
    (void)unused;
    if (check_rank("orthogonal", &t.shape, j->status))
        return LEAT_ESHAPE;
    int64_t n = leat_shape_count(&t.shape), height = t.shape.size[0], width = n > 0 ? n / height : 0;
    if (n == 0)
        return LEAT_OK;
    bool wide = width > height;
    qr q = { .rows = wide ? width : height, .cols = wide ? height : width };
    size_t numbers = (size_t)n + 3 * (size_t)q.cols;
    q.a = numbers <= SIZE_MAX / sizeof(double) ? leat_arena_alloc(j->scratch, numbers * sizeof(double)) : NULL;
    if (!q.a)
        return leat_fail(j->status, LEAT_ENOMEM, "out of memory for an orthogonal matrix");
    q.tau = q.a + n;
    q.sign = q.tau + q.cols;
    q.w = q.sign + q.cols;
    for (int64_t i = 0; i < n; i++)
        q.a[i] = leat_rng_normal(j->rng);
    for (int64_t c = 0; c < q.cols; c++) {
        make_reflection(&q, c);
        reflect(&q, c, c + 1);
    }
    form_q(&q);
    for (int64_t row = 0; row < height; row++)
        for (int64_t col = 0; col < width; col++)
            t.data[row * width + col] = (leat_real)(gain * q.a[wide ? col * q.cols + row : row * q.cols + col]);
    return LEAT_OK;
}

leat_init leat_init_orthogonal(double gain)
{
    return (leat_init){ .try_fill = fill_orthogonal, .a = gain };
}
