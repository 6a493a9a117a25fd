/* Pictures of a trained flow. */
#ifndef APPS_LEAT_DRAW_H
#define APPS_LEAT_DRAW_H

#include "../pictures/heat.h"
#include "../pictures/plot.h"
#include "trained.h"

typedef struct app_drawing {
    const char *out;    /* .png or .svg */
    leat_tensor data;   /* [rows, dim], or data NULL */
    int64_t samples;    /* how many to draw from the flow */
    const char *beside; /* further models, of two features as the first, in a list with commas; NULL: none */
    int64_t across;     /* how many densities stand in a row of these */
} app_drawing;

/* Of two features: the density with contours that hold known shares of it, samples beside the data, and how a regular
 * grid of the latent space bends on its way to the data. Of more (or one): a corner plot of the first features, each
 * alone on the diagonal and each pair below it. */
leat_code app_draw(app_trained *m, const app_drawing *d);

/* The parts. */
leat_code app_draw_plane(app_trained *m, const app_drawing *d, leat_tensor samples);
leat_code app_draw_corner(app_trained *m, const app_drawing *d, leat_tensor samples);

/* The densities of this model and of those beside it, each under the name of its file. */
leat_code app_draw_beside(app_trained *m, const app_drawing *d, const app_trained_opts *o);
leat_code app_plane_density(app_trained *m, app_range x, app_range y, app_heat *heat); /* in m's arena */

/* The range that holds all but a share of the numbers in a column of each table (data may be NULL), and some room. Out
 * of memory is told by the status. */
app_range app_range_of(app_trained *m, const leat_tensor *tables, int count, int64_t column, double left_out);

#endif
