/* What the tests of standardizing and of units share: a small flow, and a folder with the path of a model. */
#ifndef STANDARDIZE_SUPPORT_H
#define STANDARDIZE_SUPPORT_H

#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static const leat_tensor none;

static inline leat_flow *realnvp(leat_model *m, int64_t context)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 3, .couplings = 2, .hidden = { 8 }, .context = context });
}

static char folder[] = "/tmp/leat-standardize-XXXXXX", path[100];

static inline void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
}

static inline void drop_folder(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0);
}

#endif
