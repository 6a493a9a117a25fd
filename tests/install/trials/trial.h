/* What the trials share: new flows by a stranger, who has the installed headers and nothing else. */
#include <leat/leat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef leat_flow *trial_build(leat_model *m);

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return EXIT_FAILURE;
}

/* Two clusters in any number of columns. */
static inline leat_tensor trial_rows(leat_arena *a, int64_t n, int64_t dim)
{
    leat_rng rng = leat_rng_new(3, 5);
    leat_tensor x = leat_tensor_new(a, LEAT_SHAPE(n, dim), NULL);
    leat_rng_fill_normal(&rng, x.data, n * dim);
    for (int64_t i = 0; i < n * dim; i++)
        x.data[i] = (leat_real)(0.4 * (double)x.data[i] + (i / dim % 2 ? 1 : -1.2));
    return x;
}

static inline double mean_score(leat_flow *f, leat_tensor x, double *scores)
{
    double sum = 0;
    if (leat_flow_score(f, leat_model_tape(leat_flow_model(f), NULL), x, scores))
        return (double)NAN;
    for (int64_t i = 0; i < x.shape.size[0]; i++)
        sum += scores[i];
    return sum / (double)x.shape.size[0];
}

static inline int check_and_train(leat_flow *f, leat_tensor x, double *scores)
{
    leat_flow_report report;
    leat_tensor few = { x.data, LEAT_SHAPE(16, x.shape.size[1]) };
    double before = mean_score(f, x, scores);
    if (!leat_flow_check(f, few, NULL, &report))
        return complain("at first", report.reason);
    if (leat_fit_run(leat_fit_new(f, &(leat_fit_opts){ .data = x, .epochs = 12, .batch = 64, .lr = 4e-3 })))
        return complain("fit", leat_model_status(leat_flow_model(f))->message);
    if (!leat_flow_check(f, few, NULL, &report))
        return complain("trained", report.reason);
    double after = mean_score(f, x, scores);
    printf("%.3f nats, %.3f before training\n", -after, -before);
    return after > before + 0.1 ? EXIT_SUCCESS : complain("fit", "nothing was learned");
}

static inline int save_and_load(leat_flow *f, const leat_own_parts *own, leat_tensor x, const double *scores)
{
    leat_status s = { 0 };
    double again[512];
    if (leat_flow_save(f, "trial.leat", 0, NULL, &s))
        return complain("save", s.message);
    leat_flow_load_opts o = { .own = *own };
    leat_flow *back = leat_flow_load("trial.leat", &o, NULL, &s);
    if (!back)
        return complain("load", s.message);
    mean_score(back, x, again);
    leat_model_free(leat_flow_model(back));
    return memcmp(again, scores, sizeof again) == 0 ? EXIT_SUCCESS : complain("load", "other scores");
}

/* Checked, trained, checked again, saved and loaded. */
static inline int trial(trial_build *build, const leat_own_parts *own)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1 });
    leat_flow *f = build(m);
    if (leat_model_code(m))
        return complain("build", leat_model_errmsg(m));
    double scores[512];
    leat_tensor x = trial_rows(&a, 512, leat_flow_dim(f));
    int code = check_and_train(f, x, scores);
    code = code ? code : save_and_load(f, own, x, scores);
    leat_model_free(m);
    leat_arena_free(&a);
    return code;
}
