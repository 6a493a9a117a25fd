/*
 * Contour lines by marching squares.
 *
 * The centres of the map's cells are the corners of a grid of squares. Where the function crosses the level on an edge
 * between two corners, the line crosses that edge, in proportion; within a square it joins two such crossings (or two
 * pairs of them). Every crossing therefore has at most two neighbours, and lines are followed from crossing to crossing:
 * first those that end at the border, then the closed ones.
 */
#include "heat.h"

#include <math.h>
#include <string.h>

typedef struct grid {
    const app_heat *h;
    app_range x, y;
    double level;
    int64_t across;         /* how many edges lie along x; those along y are counted behind them */
    int64_t (*neighbor)[2]; /* of each edge's crossing; -1: none */
    leat_real *out;
    int64_t rows;
} grid;

static double value_at(const grid *g, int64_t row, int64_t column)
{
    return g->h->value[row * g->h->columns + column] - g->level;
}

static int64_t edge_x(const grid *g, int64_t row, int64_t column) /* to the next column */
{
    return row * (g->h->columns - 1) + column;
}

static int64_t edge_y(const grid *g, int64_t row, int64_t column) /* to the next row */
{
    return g->across + row * g->h->columns + column;
}

static void join(grid *g, int64_t a, int64_t b)
{
    g->neighbor[a][g->neighbor[a][0] >= 0] = b;
    g->neighbor[b][g->neighbor[b][0] >= 0] = a;
}

/* Corners are numbered around the square: lower left, lower right, upper right, upper left. */
static void march(grid *g, int64_t row, int64_t column)
{
    const double v[4] = { value_at(g, row, column), value_at(g, row, column + 1), value_at(g, row + 1, column + 1),
                          value_at(g, row + 1, column) };
    const int64_t edge[4] = { edge_x(g, row, column), edge_y(g, row, column + 1), edge_x(g, row + 1, column),
                              edge_y(g, row, column) };
    int64_t crossed[4];
    int count = 0;
    if (!isfinite(v[0] + v[1] + v[2] + v[3]))
        return;
    for (int i = 0; i < 4; i++)
        if ((v[i] > 0) != (v[(i + 1) % 4] > 0))
            crossed[count++] = edge[i];
    if (count == 2) {
        join(g, crossed[0], crossed[1]);
    } else if (count == 4) { /* a saddle: the middle says which corners belong together */
        bool middle = v[0] + v[1] + v[2] + v[3] > 0;
        int shift = middle == (v[0] > 0) ? 0 : 1;
        join(g, crossed[0], crossed[shift ? 3 : 1]);
        join(g, crossed[2], crossed[shift ? 1 : 3]);
    }
}

static void add_crossing(grid *g, int64_t edge)
{
    bool along_x = edge < g->across;
    int64_t rest = along_x ? edge : edge - g->across, width = g->h->columns - (along_x ? 1 : 0);
    int64_t row = rest / width, column = rest % width;
    double a = value_at(g, row, column), b = value_at(g, row + !along_x, column + along_x), t = a / (a - b);
    double x = (double)column + 0.5 + (along_x ? t : 0), y = (double)row + 0.5 + (along_x ? 0 : t);
    g->out[2 * g->rows] = (leat_real)(g->x.low + (g->x.high - g->x.low) * x / g->h->columns);
    g->out[2 * g->rows + 1] = (leat_real)(g->y.low + (g->y.high - g->y.low) * y / g->h->rows);
    g->rows++;
}

static void add_gap(grid *g)
{
    g->out[2 * g->rows] = g->out[2 * g->rows + 1] = (leat_real)NAN;
    g->rows++;
}

/* Follows a line from one of its crossings, taking each from its neighbours' lists on the way. The last of a closed line
 * still knows the first, and leads back to it. */
static void follow(grid *g, int64_t edge)
{
    while (edge >= 0) {
        int64_t next = g->neighbor[edge][0] >= 0 ? g->neighbor[edge][0] : g->neighbor[edge][1];
        add_crossing(g, edge);
        g->neighbor[edge][0] = g->neighbor[edge][1] = -1;
        if (next >= 0)
            g->neighbor[next][g->neighbor[next][0] == edge ? 0 : 1] = -1;
        edge = next;
    }
    add_gap(g);
}

static bool has(const grid *g, int64_t edge, int neighbors)
{
    return (g->neighbor[edge][0] >= 0) + (g->neighbor[edge][1] >= 0) == neighbors;
}

leat_code app_contour(const app_heat *h, app_range x, app_range y, double level, leat_arena *a, leat_tensor *out,
                      leat_status *s)
{
    grid g = { .h = h, .x = x, .y = y, .level = level, .across = (int64_t)h->rows * (h->columns - 1) };
    int64_t edges = g.across + (int64_t)(h->rows - 1) * h->columns;
    /* every crossing once, and one more row or two for each line, of two crossings at least */
    *out = (leat_tensor){ 0 };
    g.neighbor = leat_arena_alloc(a, (size_t)edges * sizeof *g.neighbor);
    g.out = leat_arena_alloc(a, (size_t)edges * 4 * sizeof *g.out);
    if (!g.neighbor || !g.out)
        return leat_fail(s, LEAT_ENOMEM, "out of memory for contour lines");
    memset(g.neighbor, 0xFF, (size_t)edges * sizeof *g.neighbor);
    for (int64_t row = 0; row + 1 < h->rows; row++)
        for (int64_t column = 0; column + 1 < h->columns; column++)
            march(&g, row, column);
    for (int neighbors = 1; neighbors <= 2; neighbors++) {
        for (int64_t edge = 0; edge < edges; edge++)
            if (has(&g, edge, neighbors))
                follow(&g, edge);
    }
    *out = (leat_tensor){ g.out, LEAT_SHAPE(g.rows, 2) };
    return LEAT_OK;
}
