/* Files whose descriptions make no sense, or are damaged, or have no memory: refused by name, and never worse. */
#include "model_folder.h"

TestSuite(descriptions, .init = make_folder, .fini = drop_folder);

#define LAYER "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":[{\"type\":\"linear\",\"in\":1,\"out\":1}]}"
#define TOP   "{\"format\":1,\"dim\":2,\"context\":0,\"base\":\"normal\",\"layers\":["
#define GATED                                                                                                          \
    "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"gated_conv\",\"in\":1,\"out\":1,"         \
    "\"context\":0,\"height\":2,\"width\":1,"

static const struct {
    const char *text, *says;
} wrong[] = {
    { "", "leat.flow" },
    { "nonsense", "leat.flow" },
    { "[]", "does not describe" },
    { "{}", "does not describe" },
    { "{\"format\":\"1\"}", "does not describe" },
    { "{\"format\":3,\"dim\":2}", "format 3, of a later version" },
    { "{\"format\":1}", "'dim'" },
    { "{\"format\":1,\"dim\":0,\"context\":0}", "'dim'" },
    { "{\"format\":1,\"dim\":2000000000,\"context\":0,\"base\":\"normal\",\"layers\":[\"reverse\"]}", "2000000000" },
    { "{\"format\":1,\"dim\":2,\"context\":-1}", "'context'" },
    { "{\"format\":1,\"dim\":2,\"context\":0,\"base\":\"normal\"}", "no list of layers" },
    { "{\"format\":1,\"dim\":2,\"context\":0,\"layers\":[]}", "base: a part without a type" },
    { "{\"format\":1,\"dim\":2,\"context\":0,\"base\":\"cauchy\",\"layers\":[]}", "does not know the base 'cauchy'" },
    { TOP "\"reverse\",\"twist\"]}", "layers.1: this version does not know the transform 'twist'" },
    { TOP "3]}", "layers.0: a part without a type" },
    { TOP "{\"type\":\"coupling\"}]}", "layers.0: a part without a type" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"odd\"}]}", "bijector 'odd'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":{\"type\":\"affine\"},\"net\":[]}]}", "constants of 'affine'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"affine\",\"snet\":[]}]}", "layers.0: there is no 'tnet'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":[\"lstm\"]}]}", "the part 'lstm'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"linear\",\"in\":1}}]}", "'out'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"linear\",\"in\":1,\"out\":-1}}]}",
      "'out'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":[{\"type\":\"linear\",\"in\":2147483648,"
          "\"out\":2147483648}]}]}",
      "no memory could hold 'weight'" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":[{\"type\":\"linear\",\"in\":1048576,"
          "\"out\":1048576}]}]}",
      "the flow's is [1048576,1048576]" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"residual_mlp\",\"in\":1,"
          "\"hidden\":1,\"out\":1,\"context\":0,\"blocks\":1000000,\"dropout\":0,\"activation\":\"relu\"}}]}",
      "1000000 blocks" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":[{\"type\":\"dropout\"}]}]}", "'p' is not" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"conv\",\"in\":1,\"out\":1,"
          "\"kernel\":[3]}}]}",
      "'kernel' is not a pair" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"conv\",\"in\":1,\"out\":1,"
          "\"kernel\":3}}]}",
      "'kernel' is not a shape" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"conv\",\"in\":1,\"out\":1,"
          "\"kernel\":[3,3],\"stride\":[1,1],\"padding\":[1,1],\"form\":\"round\"}}]}",
      "'form' is none of a convolution's" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"conv\",\"in\":1,\"out\":1,"
          "\"kernel\":[3,3],\"stride\":[1,1],\"padding\":[1,1]}}]}",
      "'form' is none of a convolution's" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":{\"type\":\"residual_conv\",\"in\":1,\"hidden\":"
          "1,\"out\":1,\"context\":0,\"blocks\":999}}]}",
      "999 blocks of a residual network have more tensors" },
    { TOP GATED "\"features\":4,\"blocks\":1000000,\"heads\":2,\"dropout\":0}}]}", "1000000 blocks" },
    { TOP GATED "\"features\":4,\"blocks\":1,\"heads\":2147483648,\"dropout\":0}}]}", "-1 heads do not divide" },
    { TOP GATED "\"features\":4,\"blocks\":1,\"heads\":2}}]}", "'dropout' is not a number" },
    { TOP GATED "\"blocks\":1,\"heads\":2,\"dropout\":0}}]}", "'features'" },
    { TOP "{\"type\":\"autoregressive\",\"elementwise\":\"affine\",\"made\":{\"type\":\"made\",\"context\":0,"
          "\"order\":[0,1],\"widths\":[1000000,1],\"hidden\":[],\"activation\":\"relu\"}}]}",
      "1000001 numbers for each feature are more than the file has" },
    { TOP "{\"type\":\"batch norm\"}]}", "'eps' is not a number" },
    { TOP "]}", "'layers.0.mask' is not in the model" },
    { TOP "\"permutation\"]}", "no tensor 'layers.0.order'" },
    { TOP LAYER "," LAYER "]}", "no tensor 'layers.1.mask'" },
    { TOP LAYER ",\"diagonal scale\"]}", "layers.1.log_scale" },
    { "{\"format\":1,\"dim\":3,\"context\":0,\"base\":\"normal\",\"layers\":[" LAYER "]}", "3 features" },
    { TOP "{\"type\":\"coupling\",\"elementwise\":\"additive\",\"net\":[{\"type\":\"linear\",\"in\":1,\"out\":4}]}]}",
      "'layers.0.net.0.weight' is [1,1]; the flow's is [4,1]" },
};

/* The tensors of one additive coupling of two features. */
static void write_file(const char *description)
{
    static leat_real mask[2] = { 0, 1 }, weight[1] = { (leat_real)0.5 }, bias[1] = { 1 };
    leat_safetensors_entry entries[] = { { "layers.0.mask", { mask, LEAT_SHAPE(2) }, NULL },
                                         { "layers.0.net.0.weight", { weight, LEAT_SHAPE(1, 1) }, NULL },
                                         { "layers.0.net.0.bias", { bias, LEAT_SHAPE(1) }, NULL } };
    const char *pair[1][2] = { { "leat.flow", description } };
    leat_safetensors f = { .count = 3, .entries = entries, .metadata_count = 1, .metadata = pair };
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_write(path, &f, &s), LEAT_OK, "%s", s.message);
}

static void expect_refused(const char *says)
{
    leat_status s = { 0 };
    cr_assert_null(leat_flow_load(path, NULL, NULL, &s), "accepted, not \"%s\"", says);
    cr_assert_neq(s.code, LEAT_OK);
    assert_contains(s.message, path);
    assert_contains(s.message, says);
}

Test(descriptions, wrong_descriptions_are_refused)
{
    write_file(TOP LAYER "]}");
    leat_status s = { 0 };
    leat_flow *flow = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(flow, "%s", s.message);
    leat_model_free(leat_flow_model(flow));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file(wrong[i].text);
        expect_refused(wrong[i].says);
    }
}

/* Any byte of the description changed: refused or read, never worse. */
Test(descriptions, mutated_descriptions)
{
    static const char text[] = TOP LAYER "]}", bytes[] = "\"0{]9,:-";
    int refused = 0;
    for (size_t at = 0; at + 1 < sizeof text; at++) {
        for (size_t b = 0; b + 1 < sizeof bytes; b++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = bytes[b];
            write_file(changed);
            leat_status s = { 0 };
            leat_flow *flow = leat_flow_load(path, &(leat_flow_load_opts){ .model = { .threads = 1 } }, NULL, &s);
            cr_assert_eq(flow == NULL, s.code != LEAT_OK, "%s", changed);
            refused += flow == NULL;
            if (flow)
                leat_model_free(leat_flow_model(flow));
        }
    }
    cr_assert_gt(refused, 500);
}

Test(descriptions, truncated_files_are_refused)
{
    leat_arena *a = test_arena();
    leat_status s = { 0 };
    char *bytes;
    size_t size;
    write_file(TOP LAYER "]}");
    cr_assert_eq(leat_file_read(path, a, &bytes, &size, &s), LEAT_OK);
    for (size_t n = 0; n < size; n += n < 16 ? 1 : 7) {
        cr_assert_eq(leat_file_write(path, bytes, n, &s), LEAT_OK);
        expect_refused("");
    }
}

Test(descriptions, missing_file)
{
    expect_refused("");
}

/* Out of memory at the n-th request, for every n. */
typedef struct meter {
    int left;
} meter;

static void *metered(void *user, size_t bytes)
{
    meter *m = user;
    return m->left-- > 0 ? malloc(bytes) : NULL;
}

static void give_back(void *user, void *block)
{
    (void)user;
    free(block);
}

Test(descriptions, out_of_memory)
{
    write_file(TOP LAYER "]}");
    leat_flow *flow = NULL;
    int n = 0;
    for (; !flow && n < 1000; n++) {
        meter left = { n };
        leat_allocator allocator = { metered, give_back, &left };
        leat_status s = { 0 };
        leat_flow_load_opts o = { .model = { .threads = 1, .allocator = &allocator } };
        flow = leat_flow_load(path, &o, NULL, &s);
        cr_assert(flow || s.code == LEAT_ENOMEM, "%d: %s", n, s.message);
        if (flow)
            leat_model_free(leat_flow_model(flow));
    }
    cr_assert(flow && n > 5, "%d", n);
}
