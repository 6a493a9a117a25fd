/* Densities of several flows of two features, side by side. */
#include "../common/streams.h"
#include "draw.h"

#include <string.h>

enum { MOST = 60, SIDE = 360, SAMPLES = 4000 };

/* A file's name without folder and ending. */
static const char *title_of(app_trained *m)
{
    const char *slash = strrchr(m->path, '/'), *name = slash ? slash + 1 : m->path, *dot = strrchr(name, '.');
    return leat_arena_format(&m->arena, "%.*s", dot && dot != name ? (int)(dot - name) : (int)strlen(name), name);
}

static leat_code draw_one(app_trained *m, app_panel *panel)
{
    app_heat *heat = leat_arena_zalloc(&m->arena, sizeof *heat);
    leat_tensor samples = leat_tensor_new(&m->arena, LEAT_SHAPE(SAMPLES, 2), &m->status);
    app_range x, y;
    if (!heat || !samples.data)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the picture");
    if (leat_flow_dim(m->flow) != 2 || leat_flow_context(m->flow) > 0)
        return leat_fail(&m->status, LEAT_EARG, "%s: a density is drawn of two features, without a context", m->path);
    if (leat_flow_draw(m->flow, m->tape, SAMPLES, 1, samples.data)) {
        return leat_fail(&m->status, leat_tape_code(m->tape), "%s: drawing samples: %s", m->path,
                         leat_tape_errmsg(m->tape));
    }
    x = app_range_of(m, &samples, 1, 0, 0.01);
    y = app_range_of(m, &samples, 1, 1, 0.01);
    if (m->status.code || app_plane_density(m, x, y, heat))
        return m->status.code;
    panel->plot =
        (app_plot){ .title = title_of(m), .width = SIDE, .height = SIDE, .small = true, .heat = heat, .x = x, .y = y };
    return LEAT_OK;
}

/* Opens those of the list behind the first, none of which the picture may overwrite; how many there are then. */
static int open_list(app_trained *all[MOST], const char *list, const char *out, const app_trained_opts *o)
{
    app_trained *m = all[0];
    int count = 1;
    while (*list && !m->status.code) {
        size_t size = strcspn(list, ",");
        const char *path = leat_arena_format(&m->arena, "%.*s", (int)size, list);
        app_trained *next = leat_arena_zalloc(&m->arena, sizeof *next);
        if (!path || !next) {
            leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the models of --beside");
            break;
        }
        if (count == MOST) {
            leat_fail(&m->status, LEAT_EARG, "--beside: more than %d models", MOST - 1);
            break;
        }
        if (app_refuse_input(out, &path, 1, &m->status))
            break;
        all[count++] = next;
        if (app_trained_open(next, m->program, path, o))
            leat_fail(&m->status, next->status.code, "%s", next->status.message);
        list += size + (list[size] == ',');
    }
    return count;
}

leat_code app_draw_beside(app_trained *m, const app_drawing *d, const app_trained_opts *o)
{
    app_trained *all[MOST] = { m };
    app_panel panels[MOST] = { 0 };
    int count = open_list(all, d->beside, d->out, o), across = count < d->across ? count : (int)d->across;
    for (int k = 0; k < count && !m->status.code; k++) {
        panels[k] = (app_panel){ .left = k % across * SIDE, .top = k / across * SIDE };
        if (draw_one(all[k], &panels[k]) && k > 0)
            leat_fail(&m->status, all[k]->status.code, "%s", all[k]->status.message);
    }
    if (!m->status.code)
        app_page_write(d->out, across * SIDE, (count + across - 1) / across * SIDE, panels, count, &m->status);
    for (int k = 1; k < count; k++) { /* what they say is in m's status */
        leat_model_free(all[k]->model);
        leat_arena_free(&all[k]->arena);
    }
    return m->status.code;
}
