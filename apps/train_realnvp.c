/* Trains RealNVP (Dinh, Sohl-Dickstein & Bengio 2017) on two moons, other toy data or a table, and draws what it has learned. */
#include "common/models.h"
#include "common/train.h"

typedef struct settings {
    app_train_settings train;
    app_model_settings model;
} settings;

static const app_option table[] = {
    APP_COUPLING_OPTIONS(settings, model),
    APP_REALNVP_OPTIONS(settings, model),
    { "out", APP_STRING(settings, train.out), "realnvp-out", .value = "DIR", .help = "folder for the results" },
    APP_TRAIN_OPTIONS(settings, train),
};

static const app_program program = {
    .name = "train_realnvp",
    .summary = "Trains RealNVP, a normalizing flow of affine couplings, and draws samples from it.",
    APP_TABLE(table),
};

static leat_flow *build(leat_model *m, int64_t dim, int64_t context, const void *user)
{
    const settings *o = user;
    return app_model_build(m, dim, context, &o->model);
}

int main(int argc, char **argv)
{
    settings o = { 0 };
    int exit_code = app_options_parse(&program, argc, argv, &o, NULL);
    if (exit_code >= 0)
        return exit_code;
    o.model.kind = APP_REALNVP;
    return app_train(&(app_train_job){
        .program = &program, .settings = &o, .train = &o.train, .build = build, .argc = argc, .argv = argv });
}
