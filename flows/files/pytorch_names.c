/*
 * zuko's and nflows' names and order of numbers, made leat's. zuko:
 *
 *     transform.transforms.N.mask [dim]           ones where features are kept: a coupling
 *     transform.transforms.N.order [dim]          the place of each feature: masked and autoregressive. Features at one
 *                                                 place do not see each other and are ranked as they stand
 *     transform.transforms.N.hyper.K.weight, ..   the net; its outputs stand feature by feature (for each a shift and a
 *                                                 scale, or widths, heights and slopes), and leat's group by group
 *     base.loc, base.scale [dim]                  zeros and ones
 *
 * nflows (0.14), where D are the degrees that its masks were made from:
 *
 *     _transform._transforms.N.identity_features, .transform_features, .transform_net.initial_layer.weight, ..
 *                                                 the indices of what is kept and moved, and a residual net: a coupling
 *     _transform._transforms.N._permutation [dim]
 *     _transform._transforms.N.lower_entries, .upper_entries, .unconstrained_upper_diag, .bias
 *                                                 a linear map: triangles row by row, and a diagonal softplus(raw) + 1e-3
 *     _transform._transforms.N.autoregressive_net.initial_layer.weight, .mask, .degrees, .blocks.B.linear_layers.K..,
 *     .blocks.B.linear.., .final_layer..          MADE, with residual blocks or without
 */
#include "flow_json.h"
#include "../../tensor/files/files.h"
#include "../../tensor/kernels/elementary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const marks[] = {
    [LEAT_DIALECT_ZUKO] = "transform.transforms.", [LEAT_DIALECT_NFLOWS] = "_transform._transforms."
};

/* The part of a name from the mark on; NULL if it has none. */
static const char *part_of(const char *name, leat_dialect dialect)
{
    const char *at = strstr(name, marks[dialect]);
    return at && (at == name || at[-1] == '.') ? at : NULL;
}

typedef struct renamer {
    leat_part_reader *r;
    leat_dialect dialect;
    leat_safetensors *to, *orders;
    const char *name, *part, *rest; /* of the tensor at hand: from the mark on, and behind the number of its layer */
    bool failed;                    /* out of memory */
} renamer;

static void put(renamer *n, leat_safetensors *to, const char *name, leat_tensor t)
{
    n->failed = n->failed || !name || !t.data;
    to->entries[to->count++] = (leat_safetensors_entry){ name, t, NULL };
}

/* The tensor of that name in leat's words. */
static void put_as(renamer *n, const char *words, const char *rest, leat_tensor t)
{
    const char *number = n->part + strlen(marks[n->dialect]);
    put(n, n->to,
        leat_arena_format(leat_model_arena(n->r->model), "%.*slayers.%.*s%s%s", (int)(n->part - n->name), n->name,
                          (int)(n->rest - number), number, words, rest),
        t);
}

static void put_order(renamer *n, leat_tensor t)
{
    const char *number = n->part + strlen(marks[n->dialect]);
    put(n, n->orders,
        leat_arena_format(leat_model_arena(n->r->model), "layers.%.*s.order", (int)(n->rest - number), number), t);
}

/* Another tensor of the layer. */
static const leat_tensor *beside(const renamer *n, const char *rest)
{
    char other[300];
    snprintf(other, sizeof other, "%.*s%s", (int)(n->rest - n->name), n->name, rest);
    return leat_safetensors_find(n->r->file, other);
}

static leat_tensor row_new(renamer *n, int64_t size)
{
    leat_real *data = leat_arena_alloc(leat_model_arena(n->r->model), (size_t)size * sizeof *data);
    return (leat_tensor){ data, LEAT_SHAPE(size) };
}

/* ---- zuko -------------------------------------------------------------------------------------------------------- */

static bool is_base(leat_part_reader *r, const char *name, const leat_tensor *t)
{
    bool loc = strcmp(name, "base.loc") == 0;
    if (!loc && strcmp(name, "base.scale") != 0)
        return false;
    for (int64_t i = 0; i < leat_shape_count(&t->shape); i++) {
        if (t->data[i] != (loc ? 0 : 1)) {
            leat_part_fail(r, LEAT_EFORMAT, "'%s' is not all %d, that of a standard normal base", name, loc ? 0 : 1);
            break;
        }
    }
    return true;
}

static void put_zuko(renamer *n, leat_tensor t)
{
    if (strcmp(n->rest, ".order") == 0)
        put_order(n, t);
    else if (strncmp(n->rest, ".hyper.", 7) == 0)
        put_as(n, beside(n, ".order") ? ".made.net." : ".net.", n->rest + 7, t);
    else
        put_as(n, "", n->rest, t);
}

/* ---- nflows ------------------------------------------------------------------------------------------------------ */

/* Ones at the indices of what is kept, zeros at those of what is moved; where there are neither a half, which no mask is
 * taken for. */
static leat_tensor mask_of(renamer *n, const leat_tensor *kept, const leat_tensor *moved)
{
    int64_t counts[] = { leat_shape_count(&moved->shape), leat_shape_count(&kept->shape) }, dim = counts[0] + counts[1];
    leat_tensor mask = row_new(n, dim);
    for (int64_t i = 0; mask.data && i < dim; i++)
        mask.data[i] = (leat_real)0.5;
    for (int k = 0; mask.data && k < 2; k++) {
        for (int64_t i = 0; i < counts[k]; i++) {
            leat_real at = (k ? kept : moved)->data[i];
            if (at >= 0 && at < (leat_real)dim)
                mask.data[(int64_t)at] = (leat_real)k;
        }
    }
    return mask;
}

static leat_tensor first_to_last(renamer *n, int64_t features)
{
    leat_tensor order = row_new(n, features);
    for (int64_t j = 0; order.data && j < features; j++)
        order.data[j] = (leat_real)j;
    return order;
}

/* What is below or above the diagonal of a matrix, row by row, with zeros elsewhere; as it is if there is another count. */
static leat_tensor triangle_of(renamer *n, leat_tensor entries, int64_t features, bool upper)
{
    leat_arena *a = leat_model_arena(n->r->model);
    const leat_real *from = entries.data;
    if (leat_shape_count(&entries.shape) != features * (features - 1) / 2)
        return entries;
    leat_tensor matrix = { leat_arena_zalloc(a, (size_t)(features * features) * sizeof *matrix.data),
                           LEAT_SHAPE(features, features) };
    for (int64_t i = 0; matrix.data && i < features; i++) {
        for (int64_t j = upper ? i + 1 : 0; j < (upper ? features : i); j++)
            matrix.data[i * features + j] = *from++;
    }
    return matrix;
}

static leat_tensor log_of_diagonal(renamer *n, leat_tensor raw)
{
    leat_tensor d = row_new(n, leat_shape_count(&raw.shape));
    for (int64_t i = 0; d.data && i < d.shape.size[0]; i++) {
        double x = (double)raw.data[i], softplus = (x > 0 ? x : 0) + leat_log1p64(leat_exp64(x > 0 ? -x : x));
        d.data[i] = (leat_real)leat_log64(softplus + 1e-3);
    }
    return d;
}

static void put_lu(renamer *n, leat_tensor t)
{
    const leat_tensor *bias = beside(n, ".bias"), *diagonal = beside(n, ".unconstrained_upper_diag");
    int64_t features = diagonal ? leat_shape_count(&diagonal->shape) : bias ? leat_shape_count(&bias->shape) : 0;
    if (strcmp(n->rest, ".lower_entries") == 0)
        put_as(n, ".lower", "", triangle_of(n, t, features, false));
    else if (strcmp(n->rest, ".upper_entries") == 0)
        put_as(n, ".upper", "", triangle_of(n, t, features, true));
    else if (strcmp(n->rest, ".unconstrained_upper_diag") == 0)
        put_as(n, ".log_diagonal", "", log_of_diagonal(n, t));
    else
        put_as(n, "", n->rest, t);
    if (strcmp(n->rest, ".unconstrained_upper_diag") == 0)
        put_as(n, ".permutation.order", "", first_to_last(n, features));
}

/* Layers without residual blocks, initial_layer, blocks.0.linear, ..., final_layer, are net.0, net.2, ... */
static void put_plain(renamer *n, const char *rest, leat_tensor t)
{
    char text[80];
    long layer = strncmp(rest, "blocks.", 7) == 0 ? strtol(rest + 7, NULL, 10) + 1 : 0;
    if (strncmp(rest, "final_layer.", 12) == 0)
        do
            snprintf(text, sizeof text, ".autoregressive_net.blocks.%ld.linear.weight", layer++);
        while (beside(n, text));
    snprintf(text, sizeof text, ".made.net.%ld", layer > 0 && layer < 1000 ? 2 * layer : 0);
    put_as(n, text, strrchr(n->rest, '.'), t);
}

static void put_nflows(renamer *n, leat_tensor t)
{
    static const char made[] = ".autoregressive_net.";
    const leat_tensor *kept = beside(n, ".identity_features");
    const char *in_made = strncmp(n->rest, made, sizeof made - 1) == 0 ? n->rest + sizeof made - 1 : NULL;
    if (in_made && strcmp(in_made, "initial_layer.weight") == 0 && t.shape.rank == 2)
        put_order(n, first_to_last(n, t.shape.size[1]));
    if (strcmp(n->rest, ".identity_features") == 0 || (in_made && strcmp(strrchr(n->rest, '.'), ".degrees") == 0))
        return;
    if (beside(n, ".lower_entries"))
        put_lu(n, t);
    else if (kept && strcmp(n->rest, ".transform_features") == 0)
        put_as(n, ".mask", "", mask_of(n, kept, &t));
    else if (strncmp(n->rest, ".transform_net.", 15) == 0)
        put_as(n, ".net.", n->rest + 15, t);
    else if (strcmp(n->rest, "._permutation") == 0)
        put_as(n, ".order", "", t);
    else if (in_made && beside(n, ".autoregressive_net.blocks.0.linear.weight"))
        put_plain(n, in_made, t);
    else
        put_as(n, in_made ? ".made." : "", in_made ? in_made : n->rest, t);
}

/* ---- all names --------------------------------------------------------------------------------------------------- */

static leat_dialect dialect_of(const leat_safetensors *f, size_t *prefix)
{
    for (int64_t i = 0; i < f->count; i++) {
        for (leat_dialect d = LEAT_DIALECT_ZUKO; d <= LEAT_DIALECT_NFLOWS; d++) {
            const char *part = part_of(f->entries[i].name, d);
            *prefix = part ? (size_t)(part - f->entries[i].name) : 0;
            if (part)
                return d;
        }
    }
    return LEAT_DIALECT_OWN;
}

static bool make_room(renamer *n)
{
    leat_arena *a = leat_model_arena(n->r->model);
    size_t size = 2 * (size_t)n->r->file->count * sizeof *n->to->entries; /* one may become two */
    n->to = leat_arena_alloc(a, sizeof *n->to);
    if (!n->to)
        return false;
    *n->to = *n->r->file;
    n->to->entries = leat_arena_alloc(a, size);
    n->orders->entries = leat_arena_alloc(a, size);
    n->to->count = 0;
    return n->to->entries && n->orders->entries;
}

bool leat_infer_names(leat_part_reader *r, leat_dialect *dialect, leat_safetensors *orders)
{
    const leat_safetensors *from = r->file;
    size_t prefix;
    *orders = (leat_safetensors){ 0 };
    renamer n = { .r = r, .dialect = *dialect = dialect_of(from, &prefix), .orders = orders };
    if (n.dialect == LEAT_DIALECT_OWN)
        return true;
    n.failed = !make_room(&n);
    for (int64_t i = 0; !n.failed && i < from->count; i++) {
        leat_tensor t = from->entries[i].tensor;
        n.name = from->entries[i].name;
        n.part = part_of(n.name, n.dialect);
        n.rest = n.part ? strchr(n.part + strlen(marks[n.dialect]), '.') : NULL;
        if (n.dialect == LEAT_DIALECT_ZUKO && strlen(n.name) > prefix && is_base(r, n.name + prefix, &t))
            continue;
        if (!n.rest)
            put(&n, n.to, n.name, t);
        else
            (n.dialect == LEAT_DIALECT_ZUKO ? put_zuko : put_nflows)(&n, t);
    }
    if (n.failed || !leat_safetensors_index(n.to, leat_model_arena(r->model)))
        return leat_part_fail(r, LEAT_ENOMEM, "out of memory for its names") != NULL;
    r->file = n.to;
    return !r->status->code;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

const int64_t *leat_infer_order(leat_part_reader *r, const leat_tensor *order, int64_t features)
{
    int64_t *place = leat_arena_zalloc(leat_model_arena(r->model), (size_t)(2 * features + 1) * sizeof *place);
    int64_t *next = place ? place + features : NULL; /* of each place, the rank of the next feature there */
    if (!place)
        return (const int64_t *)leat_part_fail(r, LEAT_ENOMEM, "out of memory for its order");
    for (int64_t j = 0; j < features; j++) {
        leat_real at = order->data[j];
        if (!(at >= 0 && at < (leat_real)features && at == (leat_real)(int64_t)at))
            return (const int64_t *)leat_part_fail(r, LEAT_EFORMAT, "its order holds %g, and places are 0 to %lld",
                                                   (double)at, (long long)features - 1);
        next[(int64_t)at + 1]++;
    }
    for (int64_t k = 0; k < features; k++)
        next[k + 1] += next[k];
    for (int64_t j = 0; j < features; j++)
        place[j] = next[(int64_t)order->data[j]]++;
    return place;
}

/* Row (group, feature, i) comes from where feature by feature it stood. */
static void regroup_rows(char *rows, char *copy, size_t row, int64_t features, const leat_elementwise *e,
                         const int64_t *offset)
{
    int64_t total = leat_elementwise_width(e);
    memcpy(copy, rows, row * (size_t)(features * total));
    for (int g = 0; g < LEAT_MAX_GROUPS && e->theta[g].name; g++) {
        for (int64_t j = 0; j < features; j++) {
            size_t size = row * (size_t)e->theta[g].width;
            memcpy(rows, copy + row * (size_t)(j * total + offset[g]), size);
            rows += size;
        }
    }
}

bool leat_infer_regroup(leat_part_reader *r, const char *linear, int64_t features, const leat_elementwise *e,
                        const int64_t *offset)
{
    static const char *const parts[] = { "weight", "bias", "mask" };
    leat_arena *a = leat_model_arena(r->model);
    char name[120];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", linear, parts[i]);
        const leat_tensor *t = leat_safetensors_find(r->file, name);
        if (!t || t->shape.size[0] != features * leat_elementwise_width(e))
            continue;
        leat_arena_mark mark = leat_arena_save(a);
        int64_t count = leat_shape_count(&t->shape);
        char *copy = leat_arena_alloc(a, (size_t)count * sizeof *t->data);
        if (!copy)
            return leat_part_fail(r, LEAT_ENOMEM, "out of memory for %s", name) != NULL;
        regroup_rows((char *)t->data, copy, (size_t)(count / t->shape.size[0]) * sizeof *t->data, features, e, offset);
        leat_arena_restore(a, mark);
    }
    return true;
}

void leat_infer_scale(leat_part_reader *r, const char *linear, int64_t rows, double factor)
{
    static const char *const parts[] = { "weight", "bias" };
    char name[120];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s.%s", linear, parts[i]);
        const leat_tensor *t = leat_safetensors_find(r->file, name);
        int64_t row = t && t->shape.rank == 2 ? t->shape.size[1] : 1;
        for (int64_t k = 0; t && t->shape.size[0] >= rows && k < rows * row; k++)
            t->data[k] = (leat_real)((double)t->data[k] * factor);
    }
}
