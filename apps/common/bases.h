/* Base distributions by the words of a command line. */
#ifndef APPS_COMMON_BASES_H
#define APPS_COMMON_BASES_H

#include "../../flows/flows.h"

/* clang-format off */
#define APP_BASE_OPTIONS(type, field)                                                                                  \
    { "base", APP_STRING(type, field.base), NULL, .value = "NAME",                                                     \
      .help = "the density of latents, started at the data: normal, diagonal-normal, logistic, student-t (heavy tails)," \
              " generalized-normal, mixture:K of K normals, conditional-normal (by --context); default: the model's" }
/* clang-format on */

/* Why there is no such base, NULL if there is. */
const char *app_base_refuse(const char *name, bool has_context);

/* NULL for NULL: the model's own. */
leat_base *app_base_build(leat_model *m, int64_t dim, int64_t context, const char *name);

/* Whether far values are as far from unlikely as data with heavy tails need. */
bool app_base_is_heavy(const char *name);

#endif
