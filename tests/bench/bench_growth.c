/*
 * How the cost of a training step grows with a RealNVP's depth and width and with the batch, and what recomputation
 * saves and costs at depth; one thread. Prints CSV, in which lines with a # are remarks:
 *
 *     bench_growth [--smoke] > growth.csv
 *     plot_growth.py growth.csv growth.png
 *
 * A slope is that of the least squares line through the logarithms of size and seconds: 1 if the cost is proportional.
 * Times are medians of several models' medians, taken in turns. --smoke does little of each, to see that it runs.
 */
#include "common.h"
#include "jobs.h"

#include <math.h>

enum { DIM = 4, ROUNDS = 3, SIZES = 5 };

typedef struct config {
    int couplings;
    int64_t hidden, rows;
    leat_recompute how;
} config;

static bool smoke;

static jobs_result step_of(config c)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .threads = 1 });
    if (!m)
        die("out of memory");
    leat_flow *f = leat_realnvp_new(
        m, &(leat_realnvp_opts){ .dim = DIM, .couplings = c.couplings, .hidden = { c.hidden, c.hidden } });
    leat_flow_set_recompute(f, c.how);
    double work = (double)c.couplings * (double)c.hidden * (double)c.hidden * (double)c.rows;
    int steps = smoke ? 1 : (int)(2e9 / work);
    jobs_result r = jobs_steps(m, f, c.rows, steps < 5 && !smoke ? 5 : steps > 200 ? 200 : steps);
    leat_model_free(m);
    return r;
}

/* Fills results[i] with the medians for configs[i]. */
static void measure(const config *configs, int n, jobs_result *results)
{
    double seconds[SIZES + 1][ROUNDS];
    int rounds = smoke ? 1 : ROUNDS;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < n; i++) {
            results[i] = step_of(configs[i]);
            seconds[i][round] = results[i].seconds;
        }
    }
    for (int i = 0; i < n; i++)
        results[i].seconds = median(seconds[i], rounds);
}

static double slope(const double *size, const jobs_result *results, int n)
{
    double x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        double u = log(size[i]), v = log(results[i].seconds);
        x += u / n, y += v / n, xx += u * u / n, xy += u * v / n;
    }
    return (xy - x * y) / (xx - x * x);
}

static void sweep(const char *name, const config *configs, const double *size)
{
    jobs_result results[SIZES];
    int n = smoke ? 2 : SIZES;
    measure(configs, n, results);
    for (int i = 0; i < n; i++)
        printf("%s,%.0f,%.9g,%zu\n", name, size[i], results[i].seconds, results[i].tape_peak);
    printf("# %s: slope of the seconds %.3f\n", name, slope(size, results, n));
    fflush(stdout);
}

static void recomputation(void)
{
    static const char *const names[] = { "recompute none", "recompute forward", "recompute invert" };
    const int deep = smoke ? 8 : 64, depths[] = { 4, deep };
    config configs[SIZES + 1];
    jobs_result r[SIZES + 1];
    for (int i = 0; i < 6; i++)
        configs[i] = (config){ depths[i % 2], 128, 256, (leat_recompute)(i / 2) };
    measure(configs, 6, r);
    for (int i = 0; i < 6; i++)
        printf("%s,%d,%.9g,%zu\n", names[i / 2], depths[i % 2], r[i].seconds, r[i].tape_peak);
    for (int how = 0; how < 3; how++)
        printf("# %s: the tape's peak at %d couplings is %.2f times that at 4; a step takes %.2f times one without\n",
               names[how], deep, (double)r[2 * how + 1].tape_peak / (double)r[2 * how].tape_peak,
               r[2 * how + 1].seconds / r[1].seconds);
}

int main(int argc, char **argv)
{
    static const double depth[SIZES] = { 4, 8, 16, 32, 64 }, width[SIZES] = { 64, 128, 256, 512, 1024 },
                        rows[SIZES] = { 64, 256, 512, 1024, 4096 };
    config deep[SIZES], wide[SIZES], large[SIZES];
    if (argc > 1 && !(smoke = strcmp(argv[1], "--smoke") == 0))
        die("usage: bench_growth [--smoke]");
    for (int i = 0; i < SIZES; i++) {
        deep[i] = (config){ (int)depth[i], 128, 256, LEAT_RECOMPUTE_NONE };
        wide[i] = (config){ 4, (int64_t)width[i], 256, LEAT_RECOMPUTE_NONE };
        large[i] = (config){ 4, 128, (int64_t)rows[i], LEAT_RECOMPUTE_NONE };
    }
    printf("sweep,size,seconds,tape_peak\n# leat with %s, one thread; RealNVP on %d columns\n", leat_isa(), DIM);
    sweep("couplings", deep, depth);
    sweep("hidden", wide, width);
    sweep("rows", large, rows);
    recomputation();
    return 0;
}
