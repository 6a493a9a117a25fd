/*
 * The pool of threads: every index exactly once, whatever the sizes, the number of users and the moment of a fork.
 */
#define _GNU_SOURCE
#include "../../tensor/tensor.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 20000 };

typedef struct tally {
    int64_t n, grain;
    atomic_int calls, bad;
    atomic_uchar seen[MOST];
} tally;

static void count(void *arg, int64_t begin, int64_t end)
{
    tally *t = arg;
    atomic_fetch_add(&t->calls, 1);
    if (begin >= end || begin < 0 || end > t->n || begin % t->grain != 0 || (end % t->grain != 0 && end != t->n))
        atomic_fetch_add(&t->bad, 1);
    else
        for (int64_t i = begin; i < end; i++)
            atomic_fetch_add_explicit(&t->seen[i], 1, memory_order_relaxed);
}

/* Whether one parallel loop was all that it should be. */
static bool covers(leat_pool *p, tally *t, int64_t n, int64_t grain)
{
    memset(t, 0, sizeof *t);
    t->n = n, t->grain = grain;
    leat_parallel_for(p, n, grain, count, t);
    int64_t units = n / grain + (n % grain != 0), threads = leat_pool_threads(p);
    if (t->bad || t->calls > (units < threads ? units : threads) || (n > 0) != (t->calls > 0))
        return false;
    for (int64_t i = 0; i < MOST; i++)
        if (t->seen[i] != (i < n))
            return false;
    return true;
}

static bool covers_all(leat_pool *p)
{
    static const int64_t sizes[] = { 0, 1, 2, 3, 7, 8, 9, 63, 64, 100, 1000, 19999 };
    static const int64_t grains[] = { 1, 2, 3, 16, 64, 1000, 50000 };
    static _Thread_local tally t;
    bool ok = true;
    for (int i = 0; i < 12 * 7; i++)
        ok = covers(p, &t, sizes[i % 12], grains[i / 12]) && ok;
    return ok;
}

Test(threads, every_index_once)
{
    static const int sizes[] = { 1, 2, 3, 8, 40 };
    for (int i = 0; i < 5; i++) {
        leat_pool *p = leat_pool_new(sizes[i], NULL);
        cr_assert_eq(leat_pool_threads(p), sizes[i]);
        cr_assert(covers_all(p), "%d threads", sizes[i]);
        leat_pool_free(p);
    }
    cr_assert(covers_all(NULL));
    cr_assert_eq(leat_pool_threads(NULL), 1);
}

/* A grain below 1 means 1; nothing is to be done for n <= 0. */
Test(threads, odd_arguments)
{
    static tally t;
    leat_pool *p = leat_pool_new(2, NULL);
    t.n = 5, t.grain = 1;
    leat_parallel_for(p, 5, -3, count, &t);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(t.seen[i], 1);
    t.calls = 0;
    leat_parallel_for(p, -4, 1, count, &t);
    cr_assert_eq(t.calls, 0);
    leat_pool_free(p);
    leat_pool_free(NULL);
}

static void measure(void *arg, int64_t begin, int64_t end)
{
    atomic_fetch_add((_Atomic int64_t *)arg, end - begin);
}

Test(threads, longest_loop)
{
    leat_pool *p = leat_pool_new(3, NULL);
    static const int64_t grains[] = { 1, 1000, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX };
    for (int i = 0; i < 5; i++) {
        _Atomic int64_t length = 0;
        leat_parallel_for(p, INT64_MAX, grains[i], measure, &length);
        cr_assert_eq(length, INT64_MAX);
    }
    leat_pool_free(p);
}

static void add_ranges(void *arg, int64_t begin, int64_t end)
{
    int64_t *x = arg;
    for (int64_t i = begin; i < end; i++)
        x[i] += i;
}

/* Plain memory: what the ranges write is seen by the caller, and by the next dispatch on whatever thread. */
Test(threads, many_small_dispatches)
{
    static const int sizes[] = { 1, 2, 3, 8 };
    enum { N = 64, ROUNDS = 20000 };
    for (int s = 0; s < 4; s++) {
        int64_t x[N] = { 0 };
        leat_pool *p = leat_pool_new(sizes[s], NULL);
        for (int round = 0; round < ROUNDS; round++)
            leat_parallel_for(p, N, 1, add_ranges, x);
        leat_pool_free(p);
        for (int64_t i = 0; i < N; i++)
            cr_assert_eq(x[i], i * ROUNDS);
    }
}

/* Workers that went to sleep come back. */
Test(threads, dispatches_after_pauses)
{
    static tally t;
    leat_pool *p = leat_pool_new(3, NULL);
    for (int i = 0; i < 60; i++) {
        usleep(i % 3 == 0 ? 1000 : 20 * (unsigned)i);
        cr_assert(covers(p, &t, 1000, 1));
    }
    leat_pool_free(p);
}

static int processors(cpu_set_t *set)
{
    cr_assert_eq(sched_getaffinity(0, sizeof *set, set), 0);
    return CPU_COUNT(set);
}

typedef struct slow_loop {
    pthread_t caller;
    atomic_int helped, finished;
} slow_loop;

/* The caller is done as soon as somebody helps; who helps takes long. */
static void help_slowly(void *arg, int64_t begin, int64_t end)
{
    slow_loop *s = arg;
    if (!pthread_equal(pthread_self(), s->caller)) {
        atomic_fetch_add(&s->helped, 1);
        usleep(3000);
    } else if (begin == 0) {
        for (int i = 0; i < 1000 && !s->helped; i++)
            usleep(100);
    }
    atomic_fetch_add(&s->finished, (int)(end - begin));
}

Test(threads, helpers_come_and_are_waited_for)
{
    leat_pool *p = leat_pool_new(3, NULL);
    cpu_set_t set;
    int helped = 0;
    for (int i = 0; i < 20; i++) {
        slow_loop s = { .caller = pthread_self() };
        leat_parallel_for(p, 3, 1, help_slowly, &s);
        cr_assert_eq(s.finished, 3);
        if (i > 0) /* from now on they have to be woken */
            helped += s.helped;
        usleep(3000);
    }
    if (processors(&set) > 1) /* on a single one nobody need come */
        cr_assert_gt(helped, 0);
    leat_pool_free(p);
}

typedef struct nest {
    leat_pool *pool;
    atomic_int cells[16 * 16];
} nest;

typedef struct nest_row {
    nest *nest;
    int64_t row;
} nest_row;

static void inner(void *arg, int64_t begin, int64_t end)
{
    nest_row *r = arg;
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&r->nest->cells[r->row * 16 + i], 1);
}

static void outer(void *arg, int64_t begin, int64_t end)
{
    nest *n = arg;
    for (int64_t i = begin; i < end; i++)
        leat_parallel_for(n->pool, 16, 1, inner, &(nest_row){ n, i });
}

Test(threads, nested_use)
{
    nest n = { .pool = leat_pool_new(3, NULL) };
    for (int round = 0; round < 500; round++)
        leat_parallel_for(n.pool, 16, 1, outer, &n);
    for (int i = 0; i < 16 * 16; i++)
        cr_assert_eq(n.cells[i], 500);
    leat_pool_free(n.pool);
}

static void *user(void *arg)
{
    bool ok = true;
    for (int i = 0; i < 10; i++)
        ok = covers_all(arg) && ok;
    return ok ? arg : NULL;
}

Test(threads, two_users)
{
    leat_pool *p = leat_pool_new(3, NULL);
    pthread_t other[2];
    void *result[2], *mine;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&other[i], NULL, user, p), 0);
    mine = user(p);
    for (int i = 0; i < 2; i++) {
        pthread_join(other[i], &result[i]);
        cr_assert_not_null(result[i]);
    }
    cr_assert_not_null(mine);
    leat_pool_free(p);
}

static void *user_of_own(void *size)
{
    leat_pool *p = leat_pool_new(*(const int *)size, NULL);
    void *ok = user(p) ? size : NULL;
    leat_pool_free(p);
    return ok;
}

/* Each is the other's crowd: together they want more processors than there may be. */
Test(threads, two_pools_at_once)
{
    static int sizes[] = { 2, 3, 8 };
    for (int i = 0; i < 3; i++) {
        pthread_t other;
        void *theirs = NULL, *mine;
        cr_assert_eq(pthread_create(&other, NULL, user_of_own, &sizes[i]), 0);
        mine = user_of_own(&sizes[2 - i]);
        pthread_join(other, &theirs);
        cr_assert_not_null(mine);
        cr_assert_not_null(theirs);
    }
}

/* Work of one pool may use another. */
Test(threads, one_pool_within_another)
{
    leat_pool *p = leat_pool_new(3, NULL);
    nest n = { .pool = leat_pool_new(2, NULL) };
    for (int round = 0; round < 500; round++)
        leat_parallel_for(p, 16, 1, outer, &n);
    for (int i = 0; i < 16 * 16; i++)
        cr_assert_eq(n.cells[i], 500);
    leat_pool_free(n.pool);
    leat_pool_free(p);
}

static int in_child(leat_pool *p)
{
    pid_t child = fork();
    if (child == 0) {
        bool ok = covers_all(p);
        leat_pool_free(p);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

/* Before the first use the child gets its own workers; afterwards it works alone; the parent does not notice. */
Test(threads, fork_before_and_after)
{
    leat_pool *p = leat_pool_new(3, NULL);
    static tally t;
    cr_assert_eq(in_child(p), 0);
    for (int i = 0; i < 20; i++) {
        cr_assert(covers(p, &t, 100, 1));
        if (i % 2)
            usleep(3000);
        cr_assert_eq(in_child(p), 0);
    }
    leat_pool_free(p);
}

/* Leaves the process the first processor that it may use. */
static void use_one_processor(void)
{
    cpu_set_t all, some;
    CPU_ZERO(&some);
    processors(&all);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&some) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &some);
    cr_assert_eq(sched_setaffinity(0, sizeof some, &some), 0);
}

Test(threads, one_processor)
{
    use_one_processor();
    cr_assert_eq(leat_available_threads(), 1);
    static tally t;
    leat_pool *p = leat_pool_new(4, NULL);
    for (int i = 0; i < 300; i++)
        cr_assert(covers(p, &t, 100, 1));
    leat_pool_free(p);
}

/* Of all threads of this process: microseconds of processors, and how often one went to sleep. */
static int64_t used_time(int64_t *sleeps)
{
    struct rusage r;
    cr_assert_eq(getrusage(RUSAGE_SELF, &r), 0);
    *sleeps = r.ru_nvcsw;
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * INT64_C(1000000) + r.ru_utime.tv_usec + r.ru_stime.tv_usec;
}

/* A pool that has been used and is not costs nothing: all of its workers sleep. What others do on the machine takes
 * processors away and adds nothing to the count. */
static void check_idle(void)
{
    enum { PAUSE = 300000 };
    static tally t;
    int64_t sleeps;
    leat_pool *p = leat_pool_new(4, NULL);
    for (int i = 0; i < 20; i++)
        cr_assert(covers(p, &t, 100, 1));
    usleep(PAUSE / 3); /* until they do */
    int64_t before = used_time(&sleeps);
    usleep(PAUSE);
    cr_assert_lt(used_time(&sleeps) - before, PAUSE / 10);
    leat_pool_free(p);
}

Test(threads, idle_workers_sleep)
{
    check_idle();
}

Test(threads, idle_workers_sleep_on_one_processor)
{
    use_one_processor();
    check_idle();
}

/* Where workers could only take turns with the caller, it does not wake them and wait: hardly anybody goes to sleep. */
Test(threads, one_processor_is_not_handed_around)
{
    enum { ROUNDS = 4000 };
    int64_t x[64] = { 0 }, before, after;
    use_one_processor();
    leat_pool *p = leat_pool_new(2, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 4)
            used_time(&before);
        leat_parallel_for(p, 64, 1, add_ranges, x);
    }
    used_time(&after);
    leat_pool_free(p);
    cr_assert_lt(after - before, ROUNDS / 8);
    for (int64_t i = 0; i < 64; i++)
        cr_assert_eq(x[i], i * ROUNDS);
}

Test(threads, default_size)
{
    cr_assert_geq(leat_available_threads(), 1);
    static const struct {
        const char *text;
        int threads;
    } wishes[] = { { "3", 3 },
                   { "1", 1 },
                   { "", 0 },
                   { "many", 0 },
                   { "0", 0 },
                   { "-2", 0 },
                   { "x3", 0 },
                   { "0x3", 0 },
                   { "1024", 1024 },
                   { "1025", 1024 },
                   { "18446744073709551617", 1024 } };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        setenv("LEAT_NUM_THREADS", wishes[i].text, 1);
        leat_pool *p = leat_pool_new(0, NULL), *two = leat_pool_new(2, NULL);
        cr_expect_eq(leat_pool_threads(p), wishes[i].threads ? wishes[i].threads : leat_available_threads());
        cr_expect_eq(leat_pool_threads(two), 2);
        leat_pool_free(p);
        leat_pool_free(two);
    }
}

static int allowed;

static void *limited(void *blocks, size_t size)
{
    if (allowed == 0)
        return NULL;
    allowed--;
    ++*(int *)blocks;
    return malloc(size);
}

static void limited_release(void *blocks, void *block)
{
    *(int *)blocks -= block != NULL;
    free(block);
}

Test(threads, memory)
{
    int blocks = 0;
    leat_allocator allocator = { limited, limited_release, &blocks };
    for (int i = 0; i < 2; i++) {
        allowed = i;
        cr_assert_null(leat_pool_new(600, &allocator));
        cr_assert_eq(blocks, 0);
    }
    allowed = 10;
    leat_pool *p = leat_pool_new(600, &allocator);
    cr_assert_not_null(p);
    leat_pool_free(p);
    cr_assert_eq(blocks, 0);
}

/* Sanitizers map far more memory than such a limit leaves them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

Test(threads, fewer_workers_than_wanted, .disabled = SANITIZED)
{
    static tally t;
    leat_pool *p = leat_pool_new(1000, NULL);
    struct rlimit little = { (rlim_t)400 << 20, RLIM_INFINITY };
    cr_assert_eq(setrlimit(RLIMIT_AS, &little), 0);
    for (int i = 0; i < 10; i++)
        cr_assert(covers(p, &t, MOST, 1));
    leat_pool_free(p);
}
