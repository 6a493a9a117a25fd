/*
 * What must not depend on threads, without a test framework: made for ThreadSanitizer and valgrind.
 *
 * The pool gives out every index once, whatever the sizes, also after its workers have fallen asleep, when it is called
 * from within, and beside another pool. A short training run of NICE ends with the same parameters on 1, 2, 3 and 8
 * threads, and when two models train side by side; one model scores on several threads at once, each with a tape of its
 * own, made beforehand. One line for each check; the exit code is 0 if all hold.
 */
#include "../flows/flows.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOST  5000
#define ROWS  512
#define STEPS 6

static int failures;

static void check(bool ok, const char *what, int threads)
{
    printf("%s %s, threads %d\n", ok ? "ok  " : "FAIL", what, threads);
    failures += !ok;
}

/* ---- the pool ---------------------------------------------------------------------------------------------------- */

typedef struct visits {
    leat_pool *pool;
    int count[MOST];
} visits;

static void visit(void *arg, int64_t begin, int64_t end)
{
    visits *v = arg;
    for (int64_t i = begin; i < end; i++)
        v->count[i]++;
}

/* Long enough for the workers to come and take their ranges. */
static void visit_slowly(void *arg, int64_t begin, int64_t end)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    visit(arg, begin, end);
}

static void visit_from_within(void *arg, int64_t begin, int64_t end)
{
    visits own = { 0 };
    visit(arg, begin, end);
    leat_parallel_for(((visits *)arg)->pool, 16, 1, visit, &own);
}

static bool each_once(leat_pool *pool, int64_t n, int64_t grain, leat_range_fn *fn)
{
    visits v = { .pool = pool };
    leat_parallel_for(pool, n, grain, fn, &v);
    for (int64_t i = 0; i < MOST; i++) {
        if (v.count[i] != (i < n))
            return false;
    }
    return true;
}

static void check_pool(int threads)
{
    leat_pool *unused = leat_pool_new(threads, NULL), *pool = leat_pool_new(threads, NULL);
    bool once = true, slowly = true, slept = true, within = true;
    for (int64_t n = 0; n < 200; n++)
        once = once && each_once(pool, n, 1 + n % 7, visit) && each_once(pool, MOST - n, 1 + n, visit);
    for (int i = 0; i < 5; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
        slept = slept && each_once(pool, 100, 1, visit);
    }
    for (int i = 0; i < 50; i++) {
        slowly = slowly && each_once(pool, 100, 1, visit_slowly);
        within = within && each_once(pool, 64, 1, visit_from_within);
    }
    check(unused && pool && leat_pool_threads(pool) == threads, "a pool of that size", threads);
    check(once, "every index once", threads);
    check(slowly, "every index once by slow work", threads);
    check(slept, "every index once after sleep", threads);
    check(within, "every index once when called from within", threads);
    leat_pool_free(unused);
    leat_pool_free(pool);
}

/* Uses a pool of its own over and over; NULL if an index was missed. */
static void *use_pool(void *threads)
{
    leat_pool *pool = leat_pool_new(*(const int *)threads, NULL);
    bool once = pool != NULL;
    for (int i = 0; i < 500; i++)
        once = once && each_once(pool, 1 + i % 100, 1, i % 100 ? visit : visit_slowly);
    leat_pool_free(pool);
    return once ? threads : NULL;
}

static void check_two_pools(int threads)
{
    pthread_t other;
    void *theirs = NULL;
    bool started = pthread_create(&other, NULL, use_pool, &threads) == 0;
    bool mine = use_pool(&threads) != NULL;
    if (started)
        pthread_join(other, &theirs);
    check(mine && theirs, "two pools at once", threads);
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

typedef struct result {
    int threads;
    bool ok;
    uint64_t hash, draws; /* of the parameters, and of some samples */
    double loss;
} result;

/* A ring with some noise. */
static void make_data(leat_real *x)
{
    leat_rng rng = leat_rng_new(7, 0);
    leat_rng_fill_normal(&rng, x, 2 * ROWS);
    for (int i = 0; i < ROWS; i++) {
        leat_real *p = x + 2 * i;
        leat_real scale = (leat_real)(0.1 + 1 / (0.5 + (double)p[0] * (double)p[0] + (double)p[1] * (double)p[1]));
        p[0] *= scale;
        p[1] *= scale;
    }
}

static uint64_t hash_bytes(const void *bytes, size_t size)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return h;
}

static void *train(void *arg)
{
    result *r = arg;
    leat_real data[2 * ROWS], draws[2 * 100];
    make_data(data);
    leat_tensor x = { data, LEAT_SHAPE(ROWS, 2) }, batch;

    leat_model *model = leat_model_new(&(leat_model_opts){ .seed = 3, .threads = r->threads });
    leat_flow *flow =
        leat_nice_new(model, &(leat_nice_opts){ .dim = 2, .couplings = 4, .hidden = { 64, 64 }, .scale = true });
    leat_optim *adam = leat_adam_new(model, &(leat_adam_opts){ .lr = 1e-3 });
    leat_batches *batches = leat_batches_new(model, x, &(leat_batches_opts){ .size = 200, .seed = 1 });
    leat_tape *tape = leat_model_tape(model, NULL);
    r->ok = leat_model_code(model) == LEAT_OK;
    for (int step = 0; step < STEPS && r->ok; step++) {
        if (!leat_batches_next(batches, &batch) && !leat_batches_next(batches, &batch))
            r->ok = false;
        leat_tape_reset(tape);
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(flow, leat_const(tape, batch))));
        r->ok = r->ok && leat_backward(loss) == LEAT_OK && leat_optim_step(adam) == LEAT_OK;
        r->loss = leat_item(loss);
    }
    r->ok = r->ok && leat_flow_draw(flow, tape, 100, 1, draws) == LEAT_OK;
    if (r->ok) {
        r->hash = leat_model_hash(model);
        r->draws = hash_bytes(draws, sizeof draws);
    } else {
        printf("%s%s\n", leat_model_errmsg(model), leat_tape_errmsg(tape));
    }
    leat_model_free(model);
    return NULL;
}

static bool same(const result *a, const result *b)
{
    return b->ok && a->hash == b->hash && a->draws == b->draws && memcmp(&a->loss, &b->loss, sizeof a->loss) == 0;
}

static void check_side_by_side(const result *expected, int threads)
{
    result r[2] = { { .threads = threads }, { .threads = threads } };
    pthread_t other;
    bool started = pthread_create(&other, NULL, train, &r[1]) == 0;
    train(&r[0]);
    if (started)
        pthread_join(other, NULL);
    check(started && same(expected, &r[0]) && same(expected, &r[1]), "two models side by side", threads);
}

/* ---- scoring ----------------------------------------------------------------------------------------------------- */

enum { SCORERS = 4, TIMES = 5 };

typedef struct scorer {
    leat_flow *flow;
    leat_tape *tape;
    bool ok;
    double scores[TIMES][ROWS];
} scorer;

static void *score(void *arg)
{
    scorer *s = arg;
    leat_real data[2 * ROWS];
    make_data(data);
    s->ok = true;
    for (int i = 0; i < TIMES; i++)
        s->ok = s->ok &&
                leat_flow_score(s->flow, s->tape, (leat_tensor){ data, LEAT_SHAPE(ROWS, 2) }, s->scores[i]) == LEAT_OK;
    return NULL;
}

/* The model is sealed and has its tapes before the threads start, which is what makes them only readers of it. `threads`
 * are those of the pool, for which they vie. */
static void check_one_model(int threads)
{
    static scorer scorers[SCORERS + 1];
    pthread_t thread[SCORERS];
    leat_model *model = leat_model_new(&(leat_model_opts){ .seed = 3, .threads = threads });
    leat_flow *flow =
        leat_nice_new(model, &(leat_nice_opts){ .dim = 2, .couplings = 4, .hidden = { 64, 64 }, .scale = true });
    for (int i = 0; i <= SCORERS; i++)
        scorers[i] = (scorer){ .flow = flow, .tape = leat_model_tape(model, NULL) };
    int started = 0;
    bool sealed = leat_model_seal(model) == LEAT_OK;
    while (started < SCORERS && pthread_create(&thread[started], NULL, score, &scorers[started]) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    scorer *alone = &scorers[SCORERS];
    score(alone);
    bool equal = sealed && started == SCORERS && alone->ok && alone->scores[0][0] != alone->scores[0][1];
    for (int i = 0; i < started; i++)
        equal = equal && scorers[i].ok && memcmp(scorers[i].scores, alone->scores, sizeof alone->scores) == 0;
    check(equal, "one model scores on several threads", threads);
    leat_model_free(model);
}

int main(void)
{
    static const int threads[] = { 1, 2, 3, 8 };
    result first = { .threads = 1 };
    train(&first);
    check(first.ok && first.loss == first.loss, "trains", 1);
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        result r = { .threads = threads[i] };
        check_pool(threads[i]);
        check_two_pools(threads[i]);
        train(&r);
        check(same(&first, &r), "the same bits", threads[i]);
    }
    check_side_by_side(&first, 2);
    check_one_model(1);
    check_one_model(3);
    printf("%d failures\n", failures);
    return failures != 0;
}
