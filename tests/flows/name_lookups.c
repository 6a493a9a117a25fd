/* Names are found in about n log n comparisons, not in n^2: four times as many tensors, at most six times as many. Counts
 * the calls of strcmp and strncmp while a model is loaded, by its description and by its tensors alone. */
#include "../../flows/flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double calls;

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b)
{
    calls++;
    return __real_strcmp(a, b);
}

int __real_strncmp(const char *a, const char *b, size_t n);
int __wrap_strncmp(const char *a, const char *b, size_t n);
int __wrap_strncmp(const char *a, const char *b, size_t n)
{
    calls++;
    return __real_strncmp(a, b, n);
}

/* A NICE of so many couplings, five tensors each: with its description, and as PyTorch would save it. */
static leat_code write_models(int couplings, const char *described, const char *plain, leat_status *s)
{
    leat_model *m = leat_model_new(NULL);
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f;
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = couplings, .hidden = { 1 } });
    leat_code code = leat_flow_save(flow, described, 0, NULL, s);
    if (!code)
        code = leat_safetensors_read(described, &a, &f, s);
    f.metadata_count = 0;
    if (!code)
        code = leat_safetensors_write(plain, &f, s);
    leat_arena_free(&a);
    leat_model_free(m);
    return code;
}

/* The calls, or -1. */
static double count_load(const char *path, leat_status *s)
{
    calls = 0;
    leat_flow *f = leat_flow_load(path, NULL, NULL, s);
    double counted = f ? calls : -1;
    if (f)
        leat_model_free(leat_flow_model(f));
    return counted;
}

int main(void)
{
    char described[] = "/tmp/leat-names-XXXXXX", plain[] = "/tmp/leat-names-XXXXXX";
    leat_status s = { 0 };
    double count[2][2] = { { 0 } };
    if (close(mkstemp(described)) || close(mkstemp(plain)))
        return EXIT_FAILURE;
    for (int i = 0; i < 2 && !s.code; i++) {
        if (write_models(i ? 1200 : 300, described, plain, &s))
            break;
        count[0][i] = count_load(described, &s);
        count[1][i] = count_load(plain, &s);
    }
    remove(described);
    remove(plain);
    int wrong = s.code != LEAT_OK;
    for (int k = 0; k < 2; k++) {
        printf("%s: %g comparisons for 1500 tensors, %g for 6000\n", k ? "tensors alone" : "described", count[k][0],
               count[k][1]);
        wrong += !(count[k][0] > 1500) || !(count[k][1] < 6 * count[k][0]);
    }
    printf("%s\n", s.message);
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
