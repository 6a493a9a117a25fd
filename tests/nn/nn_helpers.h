/* What the tests of nn share: fixtures, comparisons, a module type of their own, an allocator that counts and fails. */
#ifndef NN_HELPERS_H
#define NN_HELPERS_H

#include <criterion/criterion.h>

#include "../../nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

/* ---- fixtures and comparisons ------------------------------------------------------------------------------------ */

static inline const char *fixture_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/nn/%s", LEAT_FIXTURES, name);
    return path;
}

static inline leat_safetensors read_fixture(leat_arena *a, const char *name)
{
    leat_safetensors f;
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_read(fixture_path(name), a, &f, &s), LEAT_OK, "%s", s.message);
    return f;
}

static inline leat_tensor find_tensor(const leat_safetensors *f, const char *name)
{
    const leat_tensor *t = leat_safetensors_find(f, name);
    cr_assert(t, "the fixture has no %s", name);
    return *t;
}

/* |got - want| <= tolerance max(1, |want|) everywhere; NaN fails. */
static inline void check_close(const char *what, const leat_real *got, leat_tensor want, double tolerance)
{
    int64_t n = leat_shape_count(&want.shape);
    cr_assert(got, "%s: nothing there", what);
    for (int64_t i = 0; i < n; i++) {
        double w = (double)want.data[i], g = (double)got[i];
        cr_assert(fabs(g - w) <= tolerance * fmax(1, fabs(w)), "%s[%lld]: %.17g, not %.17g", what, (long long)i, g, w);
    }
}

static inline void check_bits(const leat_real *a, const leat_real *b, int64_t n, const char *what)
{
    cr_assert_eq(memcmp(a, b, (size_t)n * sizeof *a), 0, "%s: not the same bits", what);
}

/* Numbers in [-1, 1] without much structure. */
static inline leat_tensor make_data(leat_arena *a, leat_shape shape, uint64_t seed)
{
    leat_tensor t = leat_tensor_new(a, shape, NULL);
    leat_rng rng = leat_rng_new(seed, 99);
    cr_assert(t.data);
    leat_rng_fill_uniform(&rng, t.data, leat_shape_count(&shape), -1, 1);
    return t;
}

static inline bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

#define CHECK_FAILED(m, wanted, text)                                                                                  \
    do {                                                                                                               \
        cr_assert_eq(leat_model_code(m), wanted, "code %d: %s", leat_model_code(m), leat_model_errmsg(m));             \
        cr_assert(strstr(leat_model_errmsg(m), text), "'%s' not in '%s'", text, leat_model_errmsg(m));                 \
    } while (0)

/* ---- a module with a bit of everything --------------------------------------------------------------------------- */

/* Children, a parameter (scale) and a buffer (state), whose values must be whole; `derived` is made from them. */
typedef struct holder {
    leat_module module;
    leat_param *scale;
    leat_buffer *state;
    double derived;
    int loads, loaded_at; /* loaded_at: when it heard of new values last, among all holders */
    leat_module *child[4];
    int children;
} holder;

static inline void holder_visit(leat_module *m, leat_visitor *v)
{
    holder *h = (holder *)m;
    leat_visit_param(v, m, h->scale);
    leat_visit_buffer(v, m, h->state);
    for (int i = 0; i < h->children; i++)
        leat_visit(v, h->child[i]);
}

static inline leat_code holder_loaded(leat_module *m, leat_status *s)
{
    holder *h = (holder *)m;
    static int clock;
    h->loads++;
    h->loaded_at = ++clock;
    double sum = 0;
    for (int64_t i = 0; h->state && i < h->state->value.shape.size[0]; i++) {
        double value = (double)h->state->value.data[i];
        if (value != floor(value))
            return leat_fail(s, LEAT_EFORMAT, "a state of %g is not whole", value);
        sum += value;
    }
    h->derived = sum;
    return LEAT_OK;
}

static inline leat_var holder_forward(leat_module *m, leat_var x, leat_var context)
{
    holder *h = (holder *)m;
    for (int i = 0; i < h->children; i++)
        x = leat_forward_with(h->child[i], x, context);
    return h->scale ? leat_mul(x, leat_use(x.tape, h->scale)) : x;
}

static const leat_module_type holder_type UNUSED = {
    .name = "holder",
    .forward = holder_forward,
    .visit = holder_visit,
    .loaded = holder_loaded,
};

static inline holder *holder_new(leat_model *m, bool full)
{
    holder *h = leat_module_new(m, &holder_type, sizeof *h);
    if (h && full) {
        h->scale = leat_param_new(&h->module, "scale", leat_shape_of(0, NULL), leat_init_constant(2));
        h->state = leat_buffer_new(&h->module, "state", LEAT_SHAPE(3));
        for (int i = 0; h->state && i < 3; i++)
            h->state->value.data[i] = (leat_real)(i + 1);
    }
    return h;
}

static inline void holder_add(holder *h, leat_module *child, const char *name)
{
    if (!h)
        return;
    leat_attach(&h->module, child, "%s", name);
    if (child)
        h->child[h->children++] = child;
}

/* ---- allocator --------------------------------------------------------------------------------------------------- */

/* Counts; fails from call number `limit` on (-1: never). */
typedef struct ledger {
    int64_t calls, blocks, limit; /* limit: calls that are answered, -1 for all */
    bool once;                    /* and all after the one that was not */
    leat_allocator allocator;
} ledger;

static inline void *ledger_allocate(void *user, size_t bytes)
{
    ledger *l = user;
    bool fails = l->limit >= 0 && (l->once ? l->calls == l->limit : l->calls >= l->limit);
    l->calls += !fails || l->once;
    l->blocks += !fails;
    return fails ? NULL : malloc(bytes);
}

static inline void ledger_release(void *user, void *block)
{
    ledger *l = user;
    l->blocks -= block != NULL;
    free(block);
}

static inline void ledger_init(ledger *l, int64_t limit)
{
    *l = (ledger){ .limit = limit, .allocator = { ledger_allocate, ledger_release, l } };
}

/* ---- a folder for files ------------------------------------------------------------------------------------------ */

static char test_folder[] UNUSED = "/tmp/leat-nn-XXXXXX";

static inline void make_folder(void)
{
    cr_assert(mkdtemp(test_folder));
}

static inline void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", test_folder);
    cr_assert_eq(system(command), 0);
}

static inline const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", test_folder, name);
    return path;
}

#endif
