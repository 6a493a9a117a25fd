/* The flows that programs train, by their options. */
#ifndef APPS_COMMON_MODELS_H
#define APPS_COMMON_MODELS_H

#include "bases.h"
#include "options.h"

typedef struct app_model_settings {
    int kind; /* APP_NICE or another */
    int preset, scale_map, between;
    int64_t couplings, transforms, bins, components;
    double tail_bound;
    app_sizes hidden;
    bool one_net;
    const char *base; /* NULL: the model's own */
} app_model_settings;

enum { APP_AUTO, APP_NICE, APP_REALNVP, APP_MAF, APP_NSF, APP_NSF_COUPLING, APP_FLOWPP, APP_GLOW };
#define APP_MODEL_WORDS "auto|nice|realnvp|maf|nsf|nsf-coupling|flowpp|glow"

/* clang-format off */
#define APP_COUPLING_OPTIONS(type, field)                                                                              \
    { "couplings", APP_INTEGER(type, field.couplings), NULL, .min = 1, .max = 10000,                                   \
      .help = "coupling layers (default 6; NICE's paper: 4)" },                                                        \
    { "hidden", APP_SIZES(type, field.hidden), NULL,                                                                   \
      .help = "hidden widths (default 128,128; NICE's paper: five of 1000)" }
#define APP_NICE_OPTIONS(type, field)                                                                                  \
    { "preset", APP_CHOICE(type, field.preset), "notebook", .words = "notebook|paper",                                 \
      .help = "NICE's paper: halves, reversal, diagonal scale, logistic base" }
#define APP_REALNVP_OPTIONS(type, field)                                                                               \
    { "scale-map", APP_CHOICE(type, field.scale_map), "tanh", .words = "tanh|learned|none",                            \
      .help = "RealNVP's log-scales: tanh(SNET), a learned multiple of that, or SNET itself" },                        \
    { "one-net", APP_FLAG(type, field.one_net), .help = "RealNVP: one net for scales and shifts, not two" }
#define APP_SPLINE_OPTIONS(type, field)                                                                                \
    { "transforms", APP_INTEGER(type, field.transforms), NULL, .min = 1, .max = 10000,                                 \
      .help = "of maf and nsf (default 5)" },                                                                          \
    { "between", APP_CHOICE(type, field.between), "auto", .words = "auto|reverse|permute|lu",                          \
      .help = "what stands between them: order turned round, a random one, a learned linear map (auto: from three columns on)" }, \
    { "components", APP_INTEGER(type, field.components), "8", .min = 1, .max = 64,                                     \
      .help = "logistics in the mixtures of flowpp" },                                                                 \
    { "bins", APP_INTEGER(type, field.bins), "8", .min = 2, .max = 64, .help = "of nsf's splines" },                   \
    { "tail-bound", APP_POSITIVE(type, field.tail_bound), "5",                                                         \
      .help = "of nsf: what is farther from 0, standardized, stays as it is" }
/* clang-format on */

/* What APP_AUTO stands for with data of so many features: splines, unless there are many or an option of couplings is
 * given; and whether that is a flow of couplings, which need another column, be it a context's. */
int app_model_kind(const app_model_settings *o, int64_t dim);
bool app_model_is_coupling(int kind);

/* NICE's, but for what the data say: context, base, image. */
leat_nice_opts app_nice_opts(leat_model *m, int64_t dim, const app_model_settings *o);

/* A flow for data of `dim` features and a context of so many. */
leat_flow *app_model_build(leat_model *m, int64_t dim, int64_t context, const app_model_settings *o);

#endif
