/* leat check: whether what is in the file is a flow, by leat_flow_check on rows of data or on samples. */
#include "../common/options.h"
#include "commands.h"
#include "table_rows.h"

#include <math.h>
#include <stdio.h>

typedef struct settings {
    app_trained_opts open;
    app_table_settings table;
    int64_t rows, seed;
    double tolerance;
} settings;

static const app_option table[] = {
    { "count", APP_INTEGER(settings, rows), "256", .min = 1, .max = 1000000, .letter = 'n',
      .help = "how many rows to check on: the first of DATA, or samples" },
    { "tolerance", APP_NONNEGATIVE(settings, tolerance), "0", .help = "0: 1e-4, relative to max(1, magnitude)" },
    { "seed", APP_INTEGER(settings, seed), "0", .help = "of the samples" },
    APP_TABLE_OR_IMAGE_OPTIONS(settings, table),
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program program = {
    .name = "leat check",
    .summary =
        "Checks a model: round trips both ways, log-determinants against each other and the Jacobian, every layer.",
    APP_TABLE(table),
    .arguments = "MODEL [DATA]",
    .min_arguments = 1,
    .max_arguments = 2,
};

/* Rows to check on: of the table, or samples; a conditional flow needs a table. */
static leat_code find_rows(app_trained *m, const settings *o, const char *data, leat_doubles *x, leat_doubles *context)
{
    int64_t dim = leat_flow_dim(m->flow);
    if (data)
        return app_rows_all(m, data, APP_ROWS_DATA, &o->table, o->rows, x, context);
    if (leat_flow_context(m->flow) > 0) {
        return leat_fail(&m->status, LEAT_EARG, "%s: a conditional flow is checked on a table, which has its context",
                         m->path);
    }
    *x = (leat_doubles){ leat_arena_alloc(&m->arena, (size_t)(o->rows * dim) * sizeof *x->data), o->rows, dim };
    if (!x->data)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for %lld rows", (long long)o->rows);
    if (leat_flow_draw_rows_doubles(m->flow, m->tape, 0, o->rows, 1, *context, x->data))
        leat_fail(&m->status, leat_tape_code(m->tape), "%s: drawing samples: %s", m->path, leat_tape_errmsg(m->tape));
    return m->status.code;
}

static leat_code check(app_trained *m, const settings *o, const char *data)
{
    leat_flow_check_opts opts = { .tolerance = o->tolerance };
    leat_flow_report r;
    if (find_rows(m, o, data, &opts.doubles, &opts.context_doubles))
        return m->status.code;
    if (!leat_flow_check(m->flow, (leat_tensor){ 0 }, &opts, &r))
        leat_fail(&m->status, LEAT_ENONFINITE, "%s: %s", m->path, r.reason);
    printf("rows                        %lld%s\n", (long long)opts.doubles.rows, data ? "" : " (samples)");
    printf("round trip, data            %.2e\n", r.round_trip);
    printf("round trip, latent          %.2e\n", r.round_trip_latent);
    printf("log-determinants cancel     %.2e\n", r.logdet_cancel);
    printf("log-determinant, Jacobian   %.2e\n", r.logdet_jacobian);
    printf("conditioners see what moves %.2e\n", r.triangle);
    if (r.never_moved >= 0)
        printf("never moved                 feature %lld\n", (long long)r.never_moved + 1);
    printf("base, draws                 %.2f standard errors\n", r.base_draws);
    if (!isnan(r.base_integral))
        printf("base, integral              %.4f\n", r.base_integral);
    if (r.unseen_count > 0)
        printf("not looked at               %s\n", r.unseen);
    printf("%s\n", m->status.code ? "not a flow" : "ok");
    return m->status.code;
}

int app_leat_check(int argc, char **argv)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    app_trained m;
    if (exit_code >= 0)
        return exit_code;
    o.open.seed = o.seed;
    if (!app_trained_open(&m, program.name, rest.values[0], &o.open))
        check(&m, &o, rest.count > 1 ? rest.values[1] : NULL);
    return app_trained_close(&m);
}
