/* Training gives the same bits with any number of threads. golden.sh does the same across instruction sets. */
#include "golden.h"
#include "support.h"

static const int threads[] = { 1, 2, 3, 8 };

static void expect_same_bits(uint64_t run(int threads, leat_status *s))
{
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        leat_status s = { 0 };
        uint64_t hash = run(threads[i], &s);
        cr_assert_eq(s.code, LEAT_OK, "%s", s.message);
        cr_assert_neq(hash, 0);
        first = i ? first : hash;
        cr_assert_eq(hash, first, "%d threads: %016llx, not %016llx", threads[i], (unsigned long long)hash,
                     (unsigned long long)first);
    }
}

Test(golden, threads)
{
    expect_same_bits(golden_run);
}

Test(golden, images)
{
    expect_same_bits(golden_images);
}

/* and other bits with another seed, so the hash does look at the weights */
Test(golden, hash_tells_models_apart)
{
    uint64_t hash[2];
    for (uint64_t seed = 0; seed < 2; seed++) {
        leat_model *m = test_model(seed);
        leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = 2, .hidden = { 5 } });
        hash[seed] = leat_model_hash(m);
        cr_assert_eq(leat_model_hash(m), hash[seed]);
        if (seed) {
            leat_real *value = param_value(m, "layers.1.net.2.bias").data;
            *value = *value == 1 ? 2 : 1;
            cr_assert_neq(leat_model_hash(m), hash[1]);
        }
        leat_model_free(m);
    }
    cr_assert_neq(hash[0], hash[1]);
}
