/* Trains RealNVP (Dinh, Sohl-Dickstein & Bengio 2017) on two moons, other toy data or a table, and draws what it has
 * learned. */
#include "common/train.h"

static const app_option table[] = {
    APP_COUPLING_OPTIONS(app_training, model),
    APP_REALNVP_OPTIONS(app_training, model),
    APP_LEVEL_OPTIONS(app_training, image, "2", "32"),
    { "blocks", APP_INTEGER(app_training, image.blocks), "4", .min = 1, .max = 1000,
      .help = "of images: in the residual network of each coupling" },
    { "actnorm", APP_FLAG(app_training, image.actnorm),
      .help = "of images: actnorm, not batch norm, behind couplings" },
    { "out", APP_STRING(app_training, train.out), "realnvp-out", .value = "DIR", .help = "folder for the results" },
    APP_TRAIN_OPTIONS(app_training, train),
};

static const app_program program = {
    .name = "train_realnvp",
    .summary = "Trains RealNVP, a normalizing flow of affine couplings, and draws samples from it.",
    APP_TABLE(table),
};

int main(int argc, char **argv)
{
    return app_train_main(&program, APP_REALNVP, argc, argv);
}
