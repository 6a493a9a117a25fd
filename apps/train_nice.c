/* Trains NICE (Dinh et al. 2015) on two moons or on a table, and draws what it has learned. */
#include "common/train.h"

#include <stdio.h>
#include <string.h>

typedef struct settings {
    app_train_settings train;
    int preset;
    int64_t couplings;
    app_sizes hidden;
} settings;

enum { PRESET_NOTEBOOK, PRESET_PAPER };

static const app_option table[] = {
    { "preset", APP_CHOICE(settings, preset), "notebook", .words = "notebook|paper",
      .help = "paper: halves, reversal, diagonal scale, logistic base" },
    { "couplings", APP_INTEGER(settings, couplings), NULL, .min = 1, .max = 10000,
      .help = "coupling layers (default 6; paper: 4)" },
    { "hidden", APP_SIZES(settings, hidden), NULL, .help = "hidden widths (default 128,128; paper: five of 1000)" },
    { "out", APP_STRING(settings, train.out), "nice-out", .value = "DIR", .help = "folder for the results" },
    APP_TRAIN_OPTIONS(settings, train),
};

static const app_program program = {
    .name = "train_nice",
    .summary = "Trains NICE, a normalizing flow of additive couplings, and draws samples from it.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
};

static leat_nice_opts nice_options(const settings *o, int64_t dim)
{
    leat_nice_opts nice = o->preset == PRESET_PAPER
                              ? leat_nice_paper(dim)
                              : (leat_nice_opts){ .dim = dim, .couplings = 6, .hidden = { 128, 128 } };
    if (o->couplings)
        nice.couplings = (int)o->couplings;
    if (o->hidden.count) {
        memset(nice.hidden, 0, sizeof nice.hidden);
        memcpy(nice.hidden, o->hidden.size, (size_t)o->hidden.count * sizeof *nice.hidden);
    }
    return nice;
}

static void describe(const leat_nice_opts *o, char *json, size_t size)
{
    int used = snprintf(json, size, "{\"model\":\"nice\",\"dim\":%lld,\"couplings\":%d,\"hidden\":[", (long long)o->dim,
                        o->couplings);
    for (int i = 0; o->hidden[i]; i++)
        used += snprintf(json + used, size - (size_t)used, i ? ",%lld" : "%lld", (long long)o->hidden[i]);
    snprintf(json + used, size - (size_t)used, "],\"masks\":\"%s\",\"base\":\"%s\",\"reverse\":%s,\"scale\":%s}",
             o->masks == LEAT_HALVES ? "halves" : "alternating", o->base == LEAT_LOGISTIC ? "logistic" : "normal",
             o->reverse ? "true" : "false", o->scale ? "true" : "false");
}

static leat_flow *build(leat_model *m, int64_t dim, const void *user, char *architecture, size_t size)
{
    leat_nice_opts nice = nice_options(user, dim);
    describe(&nice, architecture, size);
    return leat_nice_new(m, &nice);
}

int main(int argc, char **argv)
{
    settings o;
    int exit_code = app_options_parse(&program, argc, argv, &o, NULL);
    return exit_code >= 0 ? exit_code : app_train(&program, &o.train, build, &o);
}
