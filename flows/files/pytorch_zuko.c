/*
 * zuko's names and order of numbers, made leat's:
 *
 *     transform.transforms.N.mask [dim]           ones where features are kept: a coupling
 *     transform.transforms.N.order [dim]          the place of each feature: masked and autoregressive. Features at one
 *                                                 place do not see each other and are ranked as they stand
 *     transform.transforms.N.hyper.K.weight, ..   the net; its outputs stand feature by feature (for each a shift and a
 *                                                 scale, or widths, heights and slopes), and leat's group by group
 *     base.loc, base.scale [dim]                  zeros and ones
 */
#include "flow_json.h"

#include <stdio.h>
#include <string.h>

static const char transforms[] = "transform.transforms.";

/* The part of a name from "transform.transforms." on; NULL if it has none. */
static const char *zuko_part(const char *name)
{
    const char *at = strstr(name, transforms);
    return at && (at == name || at[-1] == '.') ? at : NULL;
}

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

/* "transform.transforms.3.hyper.0.weight" as "layers.3.made.net.0.weight", or without "made." in a coupling. */
static const char *leat_name(leat_part_reader *r, const char *name, const char *part)
{
    const char *number = part + sizeof transforms - 1, *rest = strchr(number, '.');
    int prefix = (int)(part - name), digits = rest ? (int)(rest - number) : 0;
    leat_arena *a = leat_model_arena(r->model);
    if (!rest)
        return name;
    const char *order = leat_arena_format(a, "%.*s.order", (int)(rest - name), name);
    bool hyper = strncmp(rest, ".hyper.", 7) == 0;
    const char *net = !hyper ? "" : order && leat_safetensors_find(r->file, order) ? ".made.net" : ".net";
    return leat_arena_format(a, "%.*slayers.%.*s%s%s", prefix, name, digits, number, net, rest + (hyper ? 6 : 0));
}

static bool ends_in_order(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".order") == 0;
}

bool leat_zuko_rename(leat_part_reader *r, leat_safetensors *orders)
{
    leat_arena *a = leat_model_arena(r->model);
    const leat_safetensors *from = r->file;
    const char *part = NULL;
    int64_t first = 0;
    *orders = (leat_safetensors){ 0 };
    while (first < from->count && !(part = zuko_part(from->entries[first].name)))
        first++;
    if (!part)
        return true;
    size_t prefix = (size_t)(part - from->entries[first].name);
    leat_safetensors *to = leat_arena_alloc(a, sizeof *to);
    leat_safetensors_entry *entries = leat_arena_alloc(a, (size_t)from->count * sizeof *entries);
    orders->entries = leat_arena_alloc(a, (size_t)from->count * sizeof *entries);
    bool room = to && entries && orders->entries;
    if (room) {
        *to = *from;
        to->entries = entries;
        to->count = 0;
    }
    for (int64_t i = 0; room && i < from->count; i++) {
        leat_safetensors_entry e = from->entries[i];
        if (strlen(e.name) > prefix && is_base(r, e.name + prefix, &e.tensor))
            continue;
        part = zuko_part(e.name);
        e.name = part ? leat_name(r, e.name, part) : e.name;
        room = e.name != NULL;
        if (room && part && ends_in_order(e.name)) {
            e.name += part - from->entries[i].name;
            orders->entries[orders->count++] = e;
        } else if (room) {
            entries[to->count++] = e;
        }
    }
    if (!room)
        return leat_part_fail(r, LEAT_ENOMEM, "out of memory for its names") != NULL;
    r->file = to;
    return !r->status->code;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

const int64_t *leat_zuko_order(leat_part_reader *r, const leat_tensor *order, int64_t features)
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

bool leat_zuko_regroup(leat_part_reader *r, const char *linear, int64_t features, const leat_elementwise *e)
{
    static const char *const parts[] = { "weight", "bias", "mask" };
    const int64_t splines[] = { 0, e->theta[0].width, 2 * e->theta[0].width }, affine[] = { 1, 0 };
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
        regroup_rows((char *)t->data, copy, (size_t)(count / t->shape.size[0]) * sizeof *t->data, features, e,
                     e->theta[2].name ? splines : affine);
        leat_arena_restore(a, mark);
    }
    return true;
}
