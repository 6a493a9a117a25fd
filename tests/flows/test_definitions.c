/*
 * What the definitions of models build, at their defaults and with options, is what they have always built: the
 * description that stands in files, and the names, shapes and first values of all parameters and buffers, masks and
 * permutations among them. Files and seeds of users depend on it. A change that is wanted changes the numbers below.
 */
#include <inttypes.h>

#include "support.h"

#ifdef LEAT_DOUBLE
#define OF(in_float, in_double) in_double
#else
#define OF(in_float, in_double) in_float
#endif

#define IMAGE .height = 8, .width = 8

/* name, definition, hash of the description, hash of the model in float and in double */
#define MODELS(X)                                                                                                      \
    X("nice", leat_nice_new(m, &(leat_nice_opts){ .dim = 5 }), 0x2224bc9e5bcf2950, 0x9f88e116d7ad80f3,                 \
      0xce45377e1497811b)                                                                                              \
    X("nice, halves, scale, small start, images",                                                                      \
      leat_nice_new(m, &(leat_nice_opts){ .dim = 12,                                                                   \
                                          .couplings = 3,                                                              \
                                          .hidden = { 9 },                                                             \
                                          .masks = LEAT_HALVES,                                                        \
                                          .reverse = true,                                                             \
                                          .scale = true,                                                               \
                                          .small_init = true,                                                          \
                                          .image = LEAT_SHAPE(2, 3, 2) }),                                             \
      0x88d61aa202bad6bc, 0x17b7e096e55211d2, 0xd69c82e52649ee37)                                                      \
    X("nice of the paper", nice_of_the_paper(m), 0x31d661195944621a, 0xca64994e68fbf324, 0x817997180e732c84)           \
    X("realnvp", leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 5 }), 0x526f2c25ea45c580, 0xd378a634e4738755,        \
      0x4b59f31d4211f129)                                                                                              \
    X("realnvp, halves, learned scale, nets of two widths",                                                            \
      leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 6,                                                              \
                                                .couplings = 3,                                                        \
                                                .hidden = { 9, 7 },                                                    \
                                                .hidden_t = { 8 },                                                     \
                                                .context = 2,                                                          \
                                                .masks = LEAT_HALVES,                                                  \
                                                .scale = LEAT_SCALE_LEARNED }),                                        \
      0x6727a8dac09b1789, 0xbfa430feb4725e69, 0x626e7de3b14f72b2)                                                      \
    X("realnvp, given masks, free scale, one net",                                                                     \
      leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 3,                                                              \
                                                .couplings = 2,                                                        \
                                                .hidden = { 9 },                                                       \
                                                .given_masks = (leat_real[]){ 1, 1, 0, 0, 1, 1 },                      \
                                                .scale = LEAT_SCALE_FREE,                                              \
                                                .one_net = true }),                                                    \
      0xa7d51e78077bac3e, 0x059bd2be9fd1b0e2, 0x6f7bcd46d2244e21)                                                      \
    X("realnvp, mixed",                                                                                                \
      leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 4, .couplings = 3, .hidden = { 9 }, .mixed = true }),           \
      0x36b7161cb21c6d1c, 0x0cdf96483ec8fbfd, 0x8693f33cba205da8)                                                      \
    X("realnvp_image", leat_realnvp_image_new(m, &(leat_realnvp_image_opts){ IMAGE }), 0x9f8555073a9f2893,             \
      0xcd5193d8b593d491, 0x9f39cfe3fa83e4e1)                                                                          \
    X("realnvp_image, three scales, actnorm",                                                                          \
      leat_realnvp_image_new(m,                                                                                        \
                             &(leat_realnvp_image_opts){ IMAGE, .channels = 3, .levels = 3, .blocks = 1, .hidden = 4,  \
                                                         .bits = 5, .alpha = 0.1, .context = 2, .actnorm = true }),    \
      0x5608226077673a59, 0xfa7533259194785e, 0xa2dec0a5e4ba83f1)                                                      \
    X("glow", leat_glow_new(m, &(leat_glow_opts){ IMAGE, .steps = 3, .hidden = 8 }), 0xf3a9b25f3d23dad7,               \
      0xbc1d790726bf8b72, 0x3d547e112e520796)                                                                          \
    X("glow, as deep and wide as it is", leat_glow_new(m, &(leat_glow_opts){ IMAGE, .levels = 1 }),                    \
      0xfb8511d9e8417575, 0x3823a0fb55902cf3, 0x8b61dc4530d18711)                                                      \
    X("glow, additive, shuffled, logit",                                                                               \
      leat_glow_new(m, &(leat_glow_opts){ IMAGE, .channels = 2, .levels = 2, .steps = 2, .hidden = 8, .bits = 3,       \
                                          .context = 2, .additive = true, .permuted = true, .alpha = 0.05 }),          \
      0x8b1704738630d155, 0x21071799d4c16769, 0x78b536952200c744)                                                      \
    X("glow, turned round, plain priors",                                                                              \
      leat_glow_new(m, &(leat_glow_opts){ IMAGE, .levels = 2, .steps = 2, .hidden = 8, .reversed = true,               \
                                          .plain_priors = true, .continuous = true }),                                 \
      0xcb796a50fc78244f, 0x29b1a5f109a8881b, 0x0f56920f0d5e539d)                                                      \
    X("maf", leat_maf_new(m, &(leat_maf_opts){ .dim = 5 }), 0x728a4aefc36ca05d, 0xfe3c6dff45042873,                    \
      0x3acf682dda0bb15a)                                                                                              \
    X("maf, permuted",                                                                                                 \
      leat_maf_new(m, &(leat_maf_opts){ .dim = 5,                                                                      \
                                        .transforms = 3,                                                               \
                                        .hidden = { 9 },                                                               \
                                        .context = 2,                                                                  \
                                        .activation = LEAT_TANH,                                                       \
                                        .between = LEAT_PERMUTED }),                                                   \
      0x520fd1601c594731, 0xa9da353ecbf497f2, 0x8b35a065a4773b02)                                                      \
    X("maf, LU", leat_maf_new(m, &(leat_maf_opts){ .dim = 5, .transforms = 3, .hidden = { 9 }, .between = LEAT_LU }),  \
      0xd4d3b0e121f4498a, 0x553e516a8d9b2f77, 0xdb158c7e286a23b9)                                                      \
    X("nsf", leat_nsf_new(m, &(leat_nsf_opts){ .dim = 5 }), 0xd0ada23e9940c4ca, 0x64c7c0033223f9e6,                    \
      0xa52c7806b98e79f0)                                                                                              \
    X("nsf, permuted",                                                                                                 \
      leat_nsf_new(m, &(leat_nsf_opts){ .dim = 5,                                                                      \
                                        .transforms = 3,                                                               \
                                        .hidden = { 9 },                                                               \
                                        .context = 2,                                                                  \
                                        .bins = 4,                                                                     \
                                        .tail_bound = 3,                                                               \
                                        .between = LEAT_PERMUTED }),                                                   \
      0xb9d1cf672cc8786d, 0x65a52d4820476f28, 0x5568a0d5df93dbba)                                                      \
    X("nsf, couplings", leat_nsf_new(m, &(leat_nsf_opts){ .dim = 5, .coupling = true }), 0x5e1eb8b5b41d004b,           \
      0xb696c7d4fb55231f, 0x8d6c6deceb1bae1a)                                                                          \
    X("nsf, couplings, permuted",                                                                                      \
      leat_nsf_new(                                                                                                    \
          m,                                                                                                           \
          &(leat_nsf_opts){ .dim = 5, .transforms = 3, .hidden = { 9 }, .coupling = true, .between = LEAT_PERMUTED }), \
      0x4ccd64281d686526, 0xb98e5223f4951451, 0x2aac1f292c0cf35c)                                                      \
    X("nsf, couplings, LU",                                                                                            \
      leat_nsf_new(                                                                                                    \
          m, &(leat_nsf_opts){ .dim = 5, .transforms = 3, .hidden = { 9 }, .coupling = true, .between = LEAT_LU }),    \
      0xf3437a4b1a80baf7, 0x173eac664d597964, 0xb0377c0fb5981b3a)                                                      \
    X("flowpp", leat_flowpp_new(m, &(leat_flowpp_opts){ IMAGE, .features = 8 }), 0xb54762cca6e71bf3,                   \
      0xc9a58d6a62d7d4d4, 0x68bacc399c04f54b)                                                                          \
    X("flowpp, as wide as it is",                                                                                      \
      leat_flowpp_new(m, &(leat_flowpp_opts){ IMAGE, .couplings = { 1, 1, 1 }, .blocks = 1, .noise = { 1, 1, 4 } }),   \
      0xc41713533095dad2, 0x9c2016aee50417ce, 0xcdb5b09c0dfe9e63)                                                      \
    X("flowpp, uniform",                                                                                               \
      leat_flowpp_new(m, &(leat_flowpp_opts){ IMAGE, .channels = 2, .couplings = { 3, 3, 3 }, .features = 4,           \
                                              .blocks = 1, .heads = 2, .dropout = 0.1, .components = 3, .context = 2,  \
                                              .uniform = true }),                                                      \
      0xb3683ff178b5302c, 0x84d304538fec24ee, 0x0480bd355fb74a12)                                                      \
    X("flowpp, of fewer bits",                                                                                         \
      leat_flowpp_new(m, &(leat_flowpp_opts){ IMAGE, .couplings = { 3, 1, 1 }, .features = 4, .blocks = 1,             \
                                              .components = 3, .bits = 3, .noise = { 3, 1, 4 } }),                     \
      0x073f6d4d33760d75, 0x10c53c64e7d4e7b3, 0x9b759fe7e1ece69a)                                                      \
    X("flowpp, of numbers",                                                                                            \
      leat_flowpp_new(m, &(leat_flowpp_opts){ IMAGE, .couplings = { 1, 1, 1 }, .features = 4, .blocks = 1,             \
                                              .components = 3, .continuous = true }),                                  \
      0xe9dd01111b1e63e6, 0xc050ac8748d11acc, 0xc6cf5dba83cd0b58)                                                      \
    X("flowpp_table", leat_flowpp_table_new(m, &(leat_flowpp_table_opts){ .dim = 5 }), 0x62331b1a34a13bc5,             \
      0xd9eb17532f7f7c30, 0xfde243c83ab8f961)                                                                          \
    X("flowpp_table, with a context",                                                                                  \
      leat_flowpp_table_new(                                                                                           \
          m,                                                                                                           \
          &(leat_flowpp_table_opts){                                                                                   \
              .dim = 5, .couplings = 3, .hidden = 9, .blocks = 1, .components = 3, .context = 2, .dropout = 0.1 }),    \
      0x4094bf66e3e9a669, 0x6e18e7ea4ee14225, 0xa1f21f700abe5b57)                                                      \
    X("gaussianization", leat_gaussianization_new(m, &(leat_gaussianization_opts){ .dim = 3 }), 0xf918cf3809469b1e,    \
      0x85068f5c4d176a38, 0x6c371907eb0e2933)                                                                          \
    X("gaussianization, one normal",                                                                                   \
      leat_gaussianization_new(                                                                                        \
          m, &(leat_gaussianization_opts){ .dim = 3, .layers = 3, .components = 1, .reflections = 2, .context = 2 }),  \
      0x53f705add3548d7e, 0x0cc284baef9cfb9c, 0xaaa909b40423c601)                                                      \
    X("vector transforms", of_vector_transforms(m), 0xfdcbd84f05c35dfe, 0xbccbe0faad95d233, 0xdc06fb7258466992)

static leat_flow *nice_of_the_paper(leat_model *m)
{
    leat_nice_opts o = leat_nice_paper(m, 4);
    return leat_nice_new(m, &o);
}

static leat_flow *of_vector_transforms(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_flow_add(flow, leat_householder(m, 4, 0));
    leat_flow_add(flow, leat_planar(m, 4));
    leat_flow_add(flow, leat_radial(m, 4));
    leat_flow_add(flow, leat_sylvester(m, 4, 2));
    leat_flow_add(flow, leat_block_autoregressive(m, 4, 3));
    return flow;
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash;
}

static int check(const char *name, leat_model *m, leat_flow *flow, uint64_t text, uint64_t model)
{
    leat_status s = { 0 };
    assert_model(m);
    const char *said = leat_flow_describe(flow, test_arena(), &s);
    cr_assert_not_null(said, "%s: %s", name, s.message);
    uint64_t text_is = hash_of(said), model_is = leat_model_hash(m);
    bool same = text_is == text && model_is == model;
    if (!same)
        fprintf(stderr, "%s: 0x%016" PRIx64 ", 0x%016" PRIx64 "\n%s\n", name, text_is, model_is, said);
    leat_model_free(m);
    return !same;
}

Test(definitions, build_what_they_have_always_built)
{
    int different = 0;
    leat_model *m;
#define X(name, definition, text, in_float, in_double)                                                                 \
    m = leat_model_new(&(leat_model_opts){ .seed = 7 });                                                               \
    different += check(name, m, definition, text, OF(in_float, in_double));
    MODELS(X)
#undef X
    cr_assert_eq(different, 0, "%d models are not what they were", different);
}
