/* The training loop of the programs: data, model, epochs, files. Whatever can be refused is refused before training. */
#include "train.h"

#include "data.h"
#include "plot.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Streams of the seed, beside the model's own: the data's, and the first epoch's shuffle. */
#define STREAM_DATA    ((uint64_t)1 << 34)
#define STREAM_BATCHES ((uint64_t)1 << 35)

enum { REAL_POINTS_SHOWN = 1000 };

typedef struct run {
    const app_train_settings *o;
    leat_arena arena;
    leat_status status;
    leat_tensor data;
    leat_model *model;
    leat_flow *flow;
    leat_optim *adam;
    leat_batches *batches;
    leat_tape *tape;
    leat_real *losses; /* [epochs, 2]: number and loss */
    int64_t epochs_done;
    char architecture[1024];
} run;

static leat_code load_data(run *r)
{
    const app_train_settings *o = r->o;
    const app_data_set *set = app_data_find(o->data);
    if (set) {
        leat_rng rng = leat_rng_new((uint64_t)o->seed, STREAM_DATA);
        return set->generate(o->points, o->noise, &rng, &r->arena, &r->data, &r->status);
    }
    if (app_data_load(o->data, &r->arena, &r->data, &r->status))
        return r->status.code;
    if (r->data.shape.size[1] < 2)
        return leat_fail(&r->status, LEAT_EARG, "%s: a coupling needs at least two columns, and there is one", o->data);
    return LEAT_OK;
}

/* Makes the folder, and a file in it to see that one can. */
static leat_code prepare_folder(run *r)
{
    const char *out = r->o->out;
    if (mkdir(out, 0777) && errno != EEXIST)
        return leat_fail(&r->status, LEAT_EIO, "%s: cannot make the folder: %s", out, strerror(errno));
    const char *probe = leat_arena_format(&r->arena, "%s/.probe-%ld", out, (long)getpid());
    if (!probe)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
    int fd = open(probe, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd < 0)
        return leat_fail(&r->status, LEAT_EIO, "%s: cannot write into the folder: %s", out, strerror(errno));
    close(fd);
    unlink(probe);
    return LEAT_OK;
}

static leat_code make_model(run *r, app_build_fn *build, const void *settings)
{
    const app_train_settings *o = r->o;
    r->model = leat_model_new(&(leat_model_opts){ .seed = (uint64_t)o->seed, .threads = (int)o->threads });
    if (!r->model)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory for a model");
    r->flow = build(r->model, r->data.shape.size[1], settings, r->architecture, sizeof r->architecture);
    r->adam = leat_adam_new(r->model, &(leat_adam_opts){ .lr = o->lr });
    r->batches =
        leat_batches_new(r->model, r->data,
                         &(leat_batches_opts){ .size = o->batch, .seed = (uint64_t)o->seed, .stream = STREAM_BATCHES });
    r->tape = leat_model_tape(r->model, NULL);
    r->losses = leat_arena_alloc(&r->arena, (size_t)(o->epochs * 2) * sizeof *r->losses);
    if (leat_model_code(r->model))
        return leat_fail(&r->status, leat_model_code(r->model), "%s", leat_model_errmsg(r->model));
    return r->losses ? LEAT_OK
                     : leat_fail(&r->status, LEAT_ENOMEM, "out of memory for %lld epochs", (long long)o->epochs);
}

/* One step of Adam on the mean negative log-likelihood of a batch. */
static leat_code train_step(run *r, leat_tensor batch, double *loss)
{
    leat_tape_reset(r->tape);
    leat_var nll = leat_neg(leat_mean(leat_flow_log_prob(r->flow, leat_borrow(r->tape, batch))));
    *loss = leat_item(nll);
    if (leat_backward(nll))
        return leat_fail(&r->status, leat_tape_code(r->tape), "%s", leat_tape_errmsg(r->tape));
    if (leat_optim_step(r->adam))
        return leat_fail(&r->status, leat_optim_status(r->adam)->code, "%s", leat_optim_status(r->adam)->message);
    return LEAT_OK;
}

/* Puts step and epoch in front of what went wrong. */
static leat_code name_step(run *r, int64_t epoch, int64_t step)
{
    leat_status why = r->status;
    r->status.code = LEAT_OK;
    return leat_fail(&r->status, why.code, "stopped at step %lld of epoch %lld: %.400s", (long long)step,
                     (long long)epoch, why.message);
}

static leat_code train_epoch(run *r, int64_t epoch, app_progress *progress)
{
    leat_tensor batch;
    double total = 0, loss = 0;
    for (int64_t step = 1; leat_batches_next(r->batches, &batch); step++) {
        if (train_step(r, batch, &loss))
            return name_step(r, epoch, step);
        total += loss * (double)batch.shape.size[0];
        app_progress_step(progress, loss);
    }
    double mean = total / (double)r->data.shape.size[0];
    r->losses[2 * r->epochs_done] = (leat_real)epoch;
    r->losses[2 * r->epochs_done + 1] = (leat_real)mean;
    r->epochs_done++;
    app_progress_clear(progress);
    if (!r->o->quiet) {
        printf("Epoch %lld, Loss: %.4f\n", (long long)epoch, mean);
        fflush(stdout);
    }
    return LEAT_OK;
}

static leat_code train(run *r)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    app_progress progress;
    app_progress_start(&progress, r->o->epochs * leat_batches_per_epoch(r->batches), r->o->quiet);
    for (int64_t epoch = 1; epoch <= r->o->epochs && !r->status.code; epoch++)
        train_epoch(r, epoch, &progress);
    app_progress_clear(&progress);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (getenv("LEAT_TIMING"))
        fprintf(stderr, "training seconds: %.3f\n",
                (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    return r->status.code;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static const char *path_in(run *r, const char *name)
{
    const char *path = leat_arena_format(&r->arena, "%s/%s", r->o->out, name);
    if (!path)
        leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
    return path;
}

/* Model and losses: also written when training stopped early, with the weights as they were then. `s` may not be the
 * run's own status, which then holds the reason. */
static leat_code write_model(run *r, leat_status *s)
{
    const char *model = path_in(r, "model.safetensors"), *csv = path_in(r, "loss.csv");
    const char *metadata[][2] = { { "leat", LEAT_VERSION }, { "architecture", r->architecture } };
    static const char *const columns[] = { "epoch", "loss" };
    leat_tensor losses = { r->losses, LEAT_SHAPE(r->epochs_done, 2) };
    if (!model || !csv)
        return leat_fail(s, LEAT_ENOMEM, "out of memory");
    leat_save(r->model, model, 2, metadata, s);
    leat_table_write(csv, columns, &losses, s);
    return s->code;
}

static leat_code draw_samples(run *r, leat_tensor *samples)
{
    *samples = leat_tensor_new(&r->arena, LEAT_SHAPE(r->o->draw, r->data.shape.size[1]), &r->status);
    if (samples->data && leat_flow_draw(r->flow, r->tape, r->o->draw, 1, samples->data))
        leat_fail(&r->status, leat_tape_code(r->tape), "drawing samples: %s", leat_tape_errmsg(r->tape));
    return r->status.code;
}

/* The notebook's scatter plot, of the first two features. */
static leat_code write_picture(run *r, leat_tensor samples)
{
    leat_tensor real = r->data;
    if (real.shape.size[0] > REAL_POINTS_SHOWN)
        real.shape.size[0] = REAL_POINTS_SHOWN;
    const char *png = path_in(r, "samples.png"), *svg = path_in(r, "samples.svg");
    if (!png || !svg)
        return r->status.code;
    const app_series series[] = { { .label = "Generated", .points = samples },
                                  { .label = "Real Data", .points = real } };
    app_plot plot = { .series = series, .series_count = 2 };
    if (!app_plot_write(png, &plot, &r->status) && !app_plot_write(svg, &plot, &r->status) && !r->o->quiet) {
        char full[PATH_MAX];
        fprintf(stderr, "%s\n", realpath(png, full) ? full : png);
    }
    return r->status.code;
}

static leat_code write_results(run *r)
{
    leat_tensor samples;
    const char *npy = path_in(r, "samples.npy");
    if (!npy || write_model(r, &r->status) || draw_samples(r, &samples) || leat_npy_write(npy, &samples, &r->status))
        return r->status.code;
    return write_picture(r, samples);
}

int app_train(const app_program *p, const app_train_settings *o, app_build_fn *build, const void *settings)
{
    run r = { .o = o };
    leat_arena_init(&r.arena, NULL);
    leat_status saving = { 0 };
    if (!load_data(&r) && !make_model(&r, build, settings) && !prepare_folder(&r)) {
        if (train(&r) == LEAT_OK)
            write_results(&r);
        else
            write_model(&r, &saving);
    }
    leat_model_free(r.model);
    leat_arena_free(&r.arena);
    if (r.status.code)
        fprintf(stderr, "%s: %s%s%s\n", p->name, r.status.message, saving.code ? "; and " : "", saving.message);
    return r.status.code ? 1 : 0;
}
