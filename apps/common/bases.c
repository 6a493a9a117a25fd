/* Base distributions by the words of a command line. */
#include "bases.h"
#include "text.h"

#include <string.h>

typedef leat_base *build_fn(leat_model *m, int64_t dim, int64_t context, int64_t components);

static leat_base *normal(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)context, (void)components;
    return leat_normal(m, dim);
}

static leat_base *diagonal_normal(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)context, (void)components;
    return leat_diagonal_normal(m, dim);
}

static leat_base *logistic(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)context, (void)components;
    return leat_logistic(m, dim);
}

static leat_base *student_t(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)context, (void)components;
    return leat_student_t(m, dim, NULL);
}

static leat_base *generalized_normal(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)context, (void)components;
    return leat_generalized_normal(m, dim, NULL);
}

static leat_base *mixture(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)context;
    return leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = dim, .components = components });
}

static leat_base *conditional_normal(leat_model *m, int64_t dim, int64_t context, int64_t components)
{
    (void)components;
    return leat_conditional_normal(m, dim, leat_mlp(m, context, (int64_t[]){ 64, 0 }, 2 * dim, LEAT_RELU));
}

static const struct base_name {
    const char *name;
    build_fn *build;
} names[] = { { "normal", normal },
              { "diagonal-normal", diagonal_normal },
              { "logistic", logistic },
              { "student-t", student_t },
              { "generalized-normal", generalized_normal },
              { "mixture", mixture },
              { "conditional-normal", conditional_normal } };

/* The base, and how many components are asked for behind a colon (8: nothing is said); NULL: there is no such base. */
static build_fn *find(const char *name, int64_t *components)
{
    size_t length = strcspn(name, ":");
    *components = 8;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) != length || memcmp(names[i].name, name, length) != 0)
            continue;
        if (!name[length])
            return names[i].build;
        const char *count = name + length + 1;
        return names[i].build == mixture && app_integer_read(count, strlen(count), components) && *components >= 1 &&
                       *components <= 1000
                   ? mixture
                   : NULL;
    }
    return NULL;
}

const char *app_base_refuse(const char *name, bool has_context)
{
    int64_t components;
    build_fn *build = name ? find(name, &components) : normal;
    if (!build)
        return "--base is normal, diagonal-normal, logistic, student-t, generalized-normal, mixture, mixture:K, or "
               "conditional-normal";
    return build == conditional_normal && !has_context ? "--base conditional-normal needs --context" : NULL;
}

leat_base *app_base_build(leat_model *m, int64_t dim, int64_t context, const char *name)
{
    int64_t components;
    build_fn *build = name ? find(name, &components) : NULL;
    return build ? build(m, dim, context, components) : NULL;
}

bool app_base_is_heavy(const char *name)
{
    return name && strcmp(name, "student-t") == 0;
}
