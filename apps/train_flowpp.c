/* Trains Flow++ (Ho et al. 2019) on images, two moons, other toy data or a table, and shows what it has learned. */
#include "common/train.h"

static const app_option table[] = {
    APP_COUPLING_OPTIONS(app_training, model),
    { "components", APP_INTEGER(app_training, model.components), "8", .min = 1, .max = 64,
      .help = "logistics in a mixture (paper: 32)" },
    { "width", APP_INTEGER(app_training, image.width), "32", .min = 4, .max = 65536,
      .help = "of images: features in the networks of couplings (paper: 96)" },
    { "blocks", APP_INTEGER(app_training, image.blocks), "2", .min = 1, .max = 1000,
      .help = "of images: in each network (paper: 10)" },
    { "heads", APP_INTEGER(app_training, image.heads), "4", .min = 1, .max = 64, .help = "of images: of attention" },
    { "dropout", APP_NONNEGATIVE(app_training, image.dropout), "0", .help = "of images: in each network (paper: 0.2)" },
    { "uniform", APP_FLAG(app_training, image.uniform),
      .help = "of images: dequantize by uniform numbers, not by a flow" },
    { "out", APP_STRING(app_training, train.out), "flowpp-out", .value = "DIR", .help = "folder for the results" },
    APP_TRAIN_OPTIONS(app_training, train),
};

static const app_program program = {
    .name = "train_flowpp",
    .summary =
        "Trains Flow++, a flow of mixture-of-logistics couplings with attention and variational dequantisation,\n"
        "and draws samples from it.",
    APP_TABLE(table),
};

int main(int argc, char **argv)
{
    return app_train_main(&program, APP_FLOWPP, argc, argv);
}
