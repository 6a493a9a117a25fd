/* A folder for the one file that a program of tests writes. */
#ifndef TESTS_FLOWS_MODEL_FOLDER_H
#define TESTS_FLOWS_MODEL_FOLDER_H

#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static char folder[] = "/tmp/leat-flows-XXXXXX", path[100];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
}

static void drop_folder(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0);
}

#endif
