/*
 * A program outside of the tree: trains a small flow, saves it, loads it into a second model, and wants the same
 * densities and a lower loss. Argument: a folder to write to.
 */
#include <leat/leat.h>

#include <stdio.h>

#define ROWS 256

static void make_data(leat_real *x)
{
    leat_rng rng = leat_rng_new(1, 0);
    leat_rng_fill_normal(&rng, x, 2 * ROWS);
    for (int i = 0; i < ROWS; i++)
        x[2 * i + 1] += x[2 * i] * x[2 * i] / 2; /* a banana */
}

static leat_flow *build(leat_model *model)
{
    return leat_nice_new(model, &(leat_nice_opts){ .dim = 2, .couplings = 4, .hidden = { 32, 32 }, .scale = true });
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "consumer: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    leat_real data[2 * ROWS];
    double before[ROWS], after[ROWS], first = 0, last = 0;
    char path[4096];
    leat_status status = { 0 };
    if (argc != 2)
        return fail("usage", "consumer <folder>");
    snprintf(path, sizeof path, "%s/consumer.safetensors", argv[1]);
    make_data(data);
    leat_tensor x = { data, LEAT_SHAPE(ROWS, 2) };

    leat_model *model = leat_model_new(&(leat_model_opts){ .seed = 0 });
    leat_flow *flow = build(model);
    leat_optim *adam = leat_adam_new(model, &(leat_adam_opts){ .lr = 5e-3 });
    leat_tape *tape = leat_model_tape(model, NULL);
    for (int step = 0; step < 60; step++) {
        leat_tape_reset(tape);
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(flow, leat_const(tape, x))));
        if (leat_backward(loss) || leat_optim_step(adam))
            return fail("training", leat_tape_errmsg(tape));
        last = leat_item(loss);
        first = step == 0 ? last : first;
    }
    if (!(last < first - 0.1))
        return fail("training", "the loss did not fall");

    leat_model *second = leat_model_new(&(leat_model_opts){ .seed = 9 });
    leat_flow *loaded = build(second);
    if (leat_save(model, path, 0, NULL, &status) || leat_load(second, path, &status))
        return fail("save and load", status.message);
    if (leat_flow_score(flow, tape, x, before) || leat_flow_score(loaded, leat_model_tape(second, NULL), x, after))
        return fail("score", leat_model_errmsg(second));
    for (int i = 0; i < ROWS; i++) {
        if (!(before[i] == after[i]))
            return fail("save and load", "other densities");
    }
    printf("leat %s, %d bytes a number: loss %.3f, then %.3f\n", LEAT_VERSION, (int)sizeof(leat_real), first, last);
    leat_model_free(model);
    leat_model_free(second);
    return 0;
}
