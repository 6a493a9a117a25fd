/* Elementwise bijectors, scalar monotone maps whose parameters a conditioner supplies: what they share, and the affine
 * ones of NICE, RealNVP, MAF and Glow. */
#include "../flow_impl.h"

/* ---- from a conditioner's columns to groups of parameters --------------------------------------------------------- */

/* Whether `out` is [.., columns]. */
static bool gives(const leat_elementwise *e, leat_var out, int64_t features, int64_t columns)
{
    char text[LEAT_SHAPE_TEXT];
    leat_shape shape = leat_var_shape(out);
    if (!leat_ok(out) || (shape.rank >= 2 && shape.size[shape.rank - 1] == columns))
        return leat_ok(out);
    leat_tape_fail(out.tape, LEAT_ESHAPE,
                   "%s moves %lld features and needs [batch,%lld] from its conditioner, which gave %s", e->name,
                   (long long)features, (long long)columns, leat_shape_print(&shape, text));
    return false;
}

/* One group from its own columns, feature by feature. */
static leat_var shape_group(leat_var theta, int64_t features, int64_t width)
{
    leat_shape shape = leat_var_shape(theta);
    if (width == 1)
        return theta;
    if (leat_ok(theta) && shape.rank == LEAT_MAX_RANK)
        return leat_tape_fail(theta.tape, LEAT_ESHAPE, "groups of %lld numbers leave no axis for rank %d",
                              (long long)width, shape.rank);
    shape.size[shape.rank - 1] = features;
    shape.size[shape.rank++] = width;
    return leat_reshape(theta, shape);
}

bool leat_elementwise_group(const leat_elementwise *e, int g, leat_var out, int64_t features, leat_var *theta)
{
    if (!gives(e, out, features, features * e->theta[g].width))
        return false;
    *theta = shape_group(out, features, e->theta[g].width);
    return leat_ok(*theta);
}

int64_t leat_elementwise_width(const leat_elementwise *e)
{
    int64_t total = 0;
    for (int g = 0; g < LEAT_MAX_GROUPS && e->theta[g].name; g++)
        total += e->theta[g].width;
    return total;
}

bool leat_elementwise_theta(const leat_elementwise *e, leat_var out, int64_t features, leat_var theta[LEAT_MAX_GROUPS])
{
    int64_t columns[LEAT_MAX_GROUPS];
    leat_var own[LEAT_MAX_GROUPS] = { out };
    int groups = 0;
    if (!gives(e, out, features, features * leat_elementwise_width(e)))
        return false;
    for (; groups < LEAT_MAX_GROUPS && e->theta[groups].name; groups++)
        columns[groups] = features * e->theta[groups].width;
    if (groups > 1)
        leat_split_sizes(out, -1, groups, columns, own);
    for (int g = 0; g < groups; g++)
        theta[g] = shape_group(own[g], features, e->theta[g].width);
    return leat_tape_code(out.tape) == LEAT_OK;
}

/* The log-derivatives as one number for each row, which they may be already. */
leat_pair leat_elementwise_run(const leat_elementwise *e, leat_var x, const leat_var *theta, bool inverse)
{
    leat_pair out = inverse ? leat_elementwise_inverse(e, x, theta) : e->forward(e, x, theta);
    if (leat_is_absent(out.logdet))
        out.logdet = leat_zero_logdet(x);
    else if (!leat_ok(out.logdet) || leat_var_shape(out.logdet).rank != 1)
        out.logdet = leat_sum_features(out.logdet);
    return out;
}

leat_var leat_elementwise_axis(const leat_elementwise *e, const leat_var *theta, int g)
{
    return e->theta[g].width == 1 ? leat_unsqueeze(theta[g], -1) : theta[g];
}

leat_elementwise *leat_elementwise_copy(leat_model *m, const leat_elementwise *of, int64_t width, double number)
{
    leat_elementwise *e = leat_arena_alloc(leat_model_arena(m), sizeof *e);
    if (!e) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for '%s'", of->name);
        return NULL;
    }
    *e = *of;
    e->theta[0].width = width ? width : e->theta[0].width;
    e->number[0] = number != 0 ? number : e->number[0];
    return e;
}

bool leat_elementwise_demand(const leat_elementwise *e, leat_var x, bool sense)
{
    if (!sense)
        leat_tape_fail(x.tape, LEAT_EARG, "no %s takes %lld numbers and has the constants %g, %g and %g", e->name,
                       (long long)leat_elementwise_width(e), e->number[0], e->number[1], e->number[2]);
    return leat_ok(x) && sense;
}

leat_var leat_parts_of_one(leat_var raw, double least)
{
    double rest = 1 - (double)leat_var_size(raw, -1) * least;
    return leat_add_scalar(leat_mul_scalar(leat_softmax(raw, -1), rest), least);
}

/* ---- additive ---------------------------------------------------------------------------------------------------- */

/* y = x + shift;  log|dy/dx| = 0   (Dinh et al. 2015, eq. 8) */
static leat_pair additive_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_add(x, theta[0]), leat_zeros_like(x) };
}

static leat_pair additive_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_sub(y, theta[0]), leat_zeros_like(y) };
}

const leat_elementwise leat_additive = {
    .name = "additive",
    .theta = { { "shift", 1 } },
    .forward = additive_forward,
    .inverse = additive_inverse,
};

/* ---- affine ------------------------------------------------------------------------------------------------------ */

/* y = x exp(s) + t;  log|dy/dx| = s, here summed over each row   (Dinh et al. 2017, eq. 7 and 8) */
static leat_pair affine_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var logdet, y = leat_affine_forward(x, theta[0], theta[1], &logdet);
    return (leat_pair){ y, logdet };
}

static leat_pair affine_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    leat_var logdet, x = leat_affine_inverse(y, theta[0], theta[1], &logdet);
    return (leat_pair){ x, logdet };
}

const leat_elementwise leat_affine = {
    .name = "affine",
    .theta = { { "s", 1 }, { "t", 1 } },
    .forward = affine_forward,
    .inverse = affine_inverse,
};

/* ---- affine with a bounded log-scale ----------------------------------------------------------------------------- */

/* a = c s / (c + |s|): s for small s, always between -c and c */
static leat_var bound(const leat_elementwise *self, leat_var s)
{
    double c = self->number[0];
    return leat_mul_scalar(leat_softsign(leat_mul_scalar(s, 1 / c)), c);
}

static leat_pair bounded_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return affine_forward(self, x, (leat_var[]){ bound(self, theta[0]), theta[1] });
}

static leat_pair bounded_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return affine_inverse(self, y, (leat_var[]){ bound(self, theta[0]), theta[1] });
}

const leat_elementwise leat_bounded_affine = {
    .name = "bounded_affine",
    .theta = { { "s", 1 }, { "t", 1 } },
    .forward = bounded_forward,
    .inverse = bounded_inverse,
    .number = { 6.907755278982137 },
};

/* ---- affine with a sigmoid for a scale --------------------------------------------------------------------------- */

/* y = (x + t) sigmoid(r + 2);  log|dy/dx| = log sigmoid(r + 2) */
static leat_var log_scale_of(const leat_var *theta)
{
    return leat_log_sigmoid(leat_add_scalar(theta[0], 2));
}

static leat_pair sigmoid_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var s = log_scale_of(theta);
    return (leat_pair){ leat_mul(leat_add(x, theta[1]), leat_exp(s)), s };
}

static leat_pair sigmoid_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    leat_var minus = leat_neg(log_scale_of(theta));
    return (leat_pair){ leat_sub(leat_mul(y, leat_exp(minus)), theta[1]), minus };
}

const leat_elementwise leat_sigmoid_affine = {
    .name = "sigmoid_affine",
    .theta = { { "r", 1 }, { "t", 1 } },
    .forward = sigmoid_forward,
    .inverse = sigmoid_inverse,
};

/* ---- affine with a least scale ----------------------------------------------------------------------------------- */

static leat_pair floored(const leat_elementwise *self, leat_var x, leat_var scale, leat_var t, bool inverse)
{
    leat_var theta[] = { leat_log(leat_add_scalar(scale, self->number[0])), t };
    return inverse ? affine_inverse(self, x, theta) : affine_forward(self, x, theta);
}

static leat_var sigmoid_scale(leat_var s)
{
    return leat_sigmoid(leat_add_scalar(s, 2));
}

static leat_pair softplus_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return floored(self, x, leat_softplus(theta[0]), theta[1], false);
}

static leat_pair softplus_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return floored(self, y, leat_softplus(theta[0]), theta[1], true);
}

static leat_pair floored_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return floored(self, x, sigmoid_scale(theta[1]), theta[0], false);
}

static leat_pair floored_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return floored(self, y, sigmoid_scale(theta[1]), theta[0], true);
}

const leat_elementwise leat_softplus_affine = {
    .name = "softplus_affine",
    .theta = { { "s", 1 }, { "t", 1 } },
    .forward = softplus_forward,
    .inverse = softplus_inverse,
    .number = { 1e-3 },
};

const leat_elementwise leat_floored_affine = {
    .name = "floored_affine",
    .theta = { { "t", 1 }, { "s", 1 } },
    .forward = floored_forward,
    .inverse = floored_inverse,
    .number = { 1e-3 },
};
