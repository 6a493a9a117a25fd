/*
 * Checkpoints. One safetensors file holds the weights as model.<name>, those of the best epoch as best.<name>, what the
 * optimiser remembers as optim.<slot> (and the average of the weights as optim.average), and in its metadata
 *
 *     fit.format                       of this file: 1
 *     fit.precision, fit.data, ...     what must be the same where it goes on: data and options, as texts
 *     fit.state                        JSON: epoch, step, numbers of the epoch under way, steps of each parameter, the
 *                                      position of the tape's random stream, the reports of the epochs so far
 *
 * Doubles stand there as decimals that read back as the same bits. fit_resume.c reads it.
 */
#include "fit_impl.h"
#include "../../nn/model.h"
#include "../../tensor/files/decimal.h"
#include "../../tensor/files/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static leat_code no_memory(const char *path, leat_status *s)
{
    return leat_fail(s, LEAT_ENOMEM, "%.300s: out of memory for a checkpoint", path);
}

/* ---- options as texts -------------------------------------------------------------------------------------------- */

static const char *number_text(leat_arena *a, double x)
{
    char text[LEAT_DECIMAL_TEXT];
    if (!isfinite(x))
        return isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
    leat_decimal_print(x, text);
    return leat_arena_format(a, "%s", text);
}

/* NULL when out of memory. */
static const char *schedule_text(leat_arena *a, const leat_schedule *s)
{
    static const char *const kinds[] = { "constant", "warmup", "cosine", "step", "exponential", "then", "times" };
    if (!s || s->kind == LEAT_CONSTANT)
        return "constant";
    bool pair = s->kind == LEAT_THEN || s->kind == LEAT_TIMES;
    const char *first = pair ? schedule_text(a, s->first) : number_text(a, s->value);
    const char *second = pair ? schedule_text(a, s->second) : "";
    if (!first || !second)
        return NULL;
    return leat_arena_format(a, "%s(%lld, %s%s%s)", kinds[s->kind], (long long)s->steps, first, pair ? ", " : "",
                             second);
}

/* And the average beside it, if there is one. */
static const char *optimiser_text(leat_arena *a, const leat_fit *f)
{
    static const char *const names[] = { "adam", "adamw", "adamax", "rmsprop", "sgd" };
    const char *name = f->o.optim ? "of its own" : names[f->o.optimiser], *decay = number_text(a, f->o.ema);
    return f->o.ema > 0 ? decay ? leat_arena_format(a, "%s, ema %s", name, decay) : NULL : name;
}

/* The flow's description, without which weights of equal shapes may mean something else. */
static const char *flow_text(leat_flow *flow, leat_arena *a)
{
    leat_status why = { 0 };
    const char *text = leat_flow_describe(flow, a, &why);
    return text || why.code == LEAT_ENOMEM ? text : "of parts without a description";
}

int64_t leat_fit_list_options(const leat_fit *f, leat_arena *a, leat_fit_text out[LEAT_FIT_OPTIONS])
{
    const leat_fit_opts *o = &f->o;
    char shape[LEAT_SHAPE_TEXT], context[LEAT_SHAPE_TEXT];
    leat_shape all = leat_fit_shape(o);
    const leat_fit_text list[] = {
        { "fit.precision", sizeof(leat_real) == 8 ? "double" : "float" },
        { "fit.data",
          leat_arena_format(a, "%s %s %016" PRIx64, leat_shape_print(&all, shape),
                            o->context.data ? leat_shape_print(&o->context.shape, context) : "[]", leat_fit_hash(f)) },
        { "fit.flow", flow_text(f->flow, a) },
        { "fit.validation", o->held_last > 0 ? leat_arena_format(a, "last %lld", (long long)o->held_last)
                                             : number_text(a, o->validation) },
        { "fit.batch", leat_arena_format(a, "%lld", (long long)o->batch) },
        { "fit.optimiser", optimiser_text(a, f) },
        { "fit.lr", number_text(a, f->lr) },
        { "fit.weight_decay", number_text(a, o->weight_decay) },
        { "fit.schedule", schedule_text(a, o->schedule) },
        { "fit.clip", number_text(a, o->clip) },
        { "fit.seed", leat_arena_format(a, "%" PRIu64, o->seed) },
    };
    int64_t count = (int64_t)(sizeof list / sizeof *list);
    for (int64_t i = 0; i < count; i++) {
        if (!list[i][1])
            return 0;
        out[i][0] = list[i][0];
        out[i][1] = list[i][1];
    }
    return count;
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

static void put_number(leat_json_writer *w, const char *key, double x)
{
    if (key)
        leat_json_key(w, key);
    if (isfinite(x))
        leat_json_put_number(w, x);
    else
        leat_json_put_null(w);
}

static void put_int(leat_json_writer *w, const char *key, int64_t x)
{
    leat_json_key(w, key);
    leat_json_put_int(w, x);
}

static void put_history(leat_json_writer *w, const leat_fit *f)
{
    leat_json_key(w, "history");
    leat_json_open(w, '[');
    for (int64_t i = 0; i < f->epoch; i++) {
        const leat_epoch_report *r = &f->history[i];
        leat_json_open(w, '[');
        put_number(w, NULL, r->loss);
        put_number(w, NULL, r->validation);
        put_number(w, NULL, r->lr);
        put_number(w, NULL, r->grad_norm);
        leat_json_close(w, ']');
    }
    leat_json_close(w, ']');
}

static char *state_text(const leat_fit *f, leat_arena *a, leat_status *s)
{
    leat_json_writer w = leat_json_writer_new(a);
    char *text;
    size_t size;
    leat_json_open(&w, '{');
    put_int(&w, "epoch", f->epoch);
    put_int(&w, "step", f->step);
    put_number(&w, "total", f->total);
    put_number(&w, "lr", f->step_lr);
    put_number(&w, "grad_norm", f->grad_norm);
    put_int(&w, "random", (int64_t)leat_tape_rng(f->tape)->position);
    leat_json_key(&w, "steps");
    leat_json_open(&w, '[');
    for (const leat_param *p = f->model->params; p; p = p->next)
        leat_json_put_int(&w, leat_optim_steps(f->optim, p));
    leat_json_close(&w, ']');
    put_history(&w, f);
    leat_json_close(&w, '}');
    return leat_json_finish(&w, &text, &size, s) ? NULL : text;
}

typedef struct file_writer {
    leat_arena *arena;
    leat_safetensors file;
    bool failed;
} file_writer;

static void add_tensor(file_writer *w, const char *prefix, const char *name, leat_tensor t, double *doubles)
{
    leat_safetensors_entry *e = &w->file.entries[w->file.count++];
    *e = (leat_safetensors_entry){ leat_arena_format(w->arena, "%s%s", prefix, name), t, doubles };
    w->failed = w->failed || !e->name;
}

/* The model's weights, or a copy of them. */
static void add_weights(file_writer *w, const leat_fit *f, const char *prefix, leat_real *packed)
{
    for (int64_t i = 0; i < f->live.count; i++) {
        leat_tensor t = f->live.entries[i].tensor;
        if (packed) {
            t.data = packed;
            packed += leat_shape_count(&t.shape);
        }
        add_tensor(w, prefix, f->live.entries[i].name, t, f->live.entries[i].doubles);
    }
}

static bool add_tensors(file_writer *w, const leat_fit *f)
{
    int slots = leat_optim_slots(f->optim);
    w->file.entries = leat_arena_alloc(w->arena, (size_t)(2 * f->live.count + slots + 1) * sizeof *w->file.entries);
    if (!w->file.entries)
        return false;
    add_weights(w, f, "model.", f->best_in_use ? f->last : NULL);
    if (f->best_epoch)
        add_weights(w, f, "best.", f->best);
    for (int i = 0; i < slots; i++) {
        const char *name;
        leat_tensor slot = leat_optim_slot(f->optim, i, &name);
        add_tensor(w, "optim.", name, slot, NULL);
    }
    if (f->ema)
        add_tensor(w, "optim.", LEAT_FIT_AVERAGE, leat_ema_values(f->ema), NULL);
    return !w->failed;
}

static leat_code write_checkpoint(const leat_fit *f, const char *path, leat_arena *a, int64_t extra,
                                  const char *(*metadata)[2], leat_status *s)
{
    file_writer w = { .arena = a };
    leat_fit_text *texts = leat_arena_alloc(a, (size_t)(LEAT_FIT_OPTIONS + 3 + extra) * sizeof *texts);
    int64_t count = texts ? leat_fit_list_options(f, a, texts) : 0;
    if (count == 0 || !add_tensors(&w, f))
        return no_memory(path, s);
    const char *state = state_text(f, a, s);
    if (!state)
        return no_memory(path, s);
    const leat_fit_text own[] = { { "fit.format", LEAT_FIT_FORMAT }, { "fit.state", state } };
    for (int i = 0; i < 2; i++, count++) {
        texts[count][0] = own[i][0];
        texts[count][1] = own[i][1];
    }
    for (int64_t i = 0; i < extra; i++, count++) {
        texts[count][0] = metadata[i][0];
        texts[count][1] = metadata[i][1];
        if (strncmp(metadata[i][0], "fit.", 4) == 0)
            return leat_fail(s, LEAT_EARG, "%.300s: the metadata key '%.80s' begins with 'fit.'", path, metadata[i][0]);
    }
    w.file.metadata_count = count;
    w.file.metadata = texts;
    return leat_safetensors_write(path, &w.file, s);
}

leat_code leat_fit_save(leat_fit *f, const char *path, int64_t metadata_count, const char *(*metadata)[2],
                        leat_status *s)
{
    const leat_status *own = leat_fit_status(f);
    leat_status why = { 0 };
    if (own->code || leat_fit_check_weights(f, &why))
        return leat_fail(s, own->code ? own->code : why.code, "%s: %s", path, own->code ? own->message : why.message);
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(f->model)->allocator);
    leat_code code = write_checkpoint(f, path, &scratch, metadata ? metadata_count : 0, metadata, s);
    leat_arena_free(&scratch);
    return code;
}
