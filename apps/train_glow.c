/* Trains Glow (Kingma & Dhariwal 2018) on images, and shows what it has learned. */
#include "common/train.h"

static const app_option table[] = {
    APP_LEVEL_OPTIONS(app_training, image, "2", "128"),
    { "steps", APP_INTEGER(app_training, image.steps), "8", .min = 1, .max = 1000,
      .help = "of each level: actnorm, 1x1 convolution, coupling" },
    { "permutation", APP_CHOICE(app_training, image.permutation), "lu", .words = "lu|shuffle|reverse",
      .help = "what stands between couplings: learned 1x1 convolutions, fixed random permutations, or the order turned "
              "round" },
    { "additive", APP_FLAG(app_training, image.additive), .help = "additive couplings, not affine ones" },
    { "logit", APP_NONNEGATIVE(app_training, image.logit), "0.05", .value = "ALPHA",
      .help = "learn logit(ALPHA + (1 - 2 ALPHA) x), as RealNVP does; 0: x itself, as Glow's paper has it" },
    { "out", APP_STRING(app_training, train.out), "glow-out", .value = "DIR", .help = "folder for the results" },
    APP_IMAGE_TRAIN_OPTIONS(app_training, train),
};

static const app_program program = {
    .name = "train_glow",
    .summary =
        "Trains Glow, a multi-scale flow with invertible 1x1 convolutions, on images, and draws samples from it.",
    APP_TABLE(table),
};

int main(int argc, char **argv)
{
    return app_train_main(&program, APP_GLOW, argc, argv);
}
