/*
 * A pool of threads that waits little and never waits in vain.
 *
 * Every worker owns a slot, in which the caller leaves one range of the work and opens it. Whoever closes the slot, by
 * an atomic exchange, runs the range: the worker, or the caller once its own range is done and the worker has not come
 * yet. So nobody ever waits for a thread that is still waking up, and the caller waits only for ranges that are being
 * run.
 *
 * Who waits spins first and sleeps on a condition variable later. A worker spins as long as that pays: less after each
 * time that it had to sleep for long. It does not spin on the processor on which its caller runs, and is not called
 * where that is the only processor there is, so two threads on one processor cost about what one costs.
 */
#define _GNU_SOURCE
#include "tensor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 1024
#define SPIN_NS     100000  /* the longest spin, about what waking a sleeper costs on a virtual machine */
#define SPIN_CHUNK  32      /* pauses between two looks at the clock */
#define LOOK_NS     1000000 /* how long an answer of the system about processors holds */

enum { SLOT_CLOSED, SLOT_OPEN, SLOT_QUIT };

typedef struct slot {
    /* One cache line holds all that a dispatch needs. */
    alignas(128) atomic_int state;
    atomic_int cpu; /* where the worker was last seen, or -1 */
    leat_range_fn *fn;
    void *arg;
    int64_t begin, end;

    alignas(64) atomic_bool asleep;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    leat_pool *pool;
} slot;

struct leat_pool {
    alignas(128) atomic_int pending; /* ranges handed out and not finished */
    atomic_bool caller_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t done;

    alignas(128) atomic_int caller_cpu;
    atomic_bool busy;
    bool started, confined; /* the caller may use a single processor, as of `looked` */
    int64_t looked;
    pid_t pid;
    int threads, workers; /* wanted, counting the caller; running, not counting it */
    slot **call;          /* the workers that take part in the current dispatch */
    slot *slots;
    leat_arena arena; /* holds the pool itself */
};

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* The processor that this thread is on, or -1 where nobody can tell. */
static int this_cpu(void)
{
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits at most `budget` nanoseconds for *value == wanted, or != wanted. */
static bool spin(atomic_int *value, int wanted, bool equal, int64_t start, int64_t budget)
{
    do {
        for (int i = 0; i < SPIN_CHUNK; i++) {
            if ((atomic_load_explicit(value, memory_order_acquire) == wanted) == equal)
                return true;
            cpu_relax();
        }
    } while (now_ns() - start < budget);
    return false;
}

/* Returns when the slot is open, and perhaps when it was for a while: who comes too late spins for the next dispatch.
 * `budget` is how long this worker spins at present. */
static void worker_wait(slot *s, int64_t *budget)
{
    if (atomic_load_explicit(&s->state, memory_order_acquire) != SLOT_CLOSED)
        return;
    int64_t start = now_ns();
    int cpu = this_cpu();
    atomic_store_explicit(&s->cpu, cpu, memory_order_relaxed);
    bool apart = cpu < 0 || cpu != atomic_load_explicit(&s->pool->caller_cpu, memory_order_relaxed);
    if (apart && spin(&s->state, SLOT_CLOSED, false, start, *budget))
        return;
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->asleep, true);
    if (atomic_load(&s->state) == SLOT_CLOSED)
        pthread_cond_wait(&s->wake, &s->mutex);
    atomic_store(&s->asleep, false);
    pthread_mutex_unlock(&s->mutex);
    *budget = now_ns() - start < 2 * SPIN_NS ? SPIN_NS : *budget / 2;
    atomic_store_explicit(&s->cpu, this_cpu(), memory_order_relaxed);
}

/* Whether one of the first n called workers was last seen where the caller is, which then is in its way. */
static bool shares_processor(const leat_pool *p, int n)
{
    int cpu = atomic_load_explicit(&p->caller_cpu, memory_order_relaxed);
    for (int i = 0; i < n && cpu >= 0; i++) {
        if (atomic_load_explicit(&p->call[i]->cpu, memory_order_relaxed) == cpu)
            return true;
    }
    return false;
}

static void caller_wait(leat_pool *p, int called)
{
    if (spin(&p->pending, 0, true, now_ns(), shares_processor(p, called) ? 0 : SPIN_NS))
        return;
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->caller_asleep, true);
    while (atomic_load(&p->pending) != 0)
        pthread_cond_wait(&p->done, &p->mutex);
    atomic_store(&p->caller_asleep, false);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

static void slot_open(slot *s, int state)
{
    atomic_store(&s->state, state);
    if (!atomic_load(&s->asleep))
        return;
    pthread_mutex_lock(&s->mutex);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

/* Runs the range in the slot, unless somebody else has it. */
static bool slot_run(slot *s)
{
    int open = SLOT_OPEN;
    if (!atomic_compare_exchange_strong(&s->state, &open, SLOT_CLOSED))
        return false;
    s->fn(s->arg, s->begin, s->end);
    return true;
}

static void *worker_main(void *arg)
{
    slot *s = arg;
    leat_pool *p = s->pool;
    int64_t budget = SPIN_NS;
    for (;;) {
        worker_wait(s, &budget);
        if (atomic_load_explicit(&s->state, memory_order_acquire) == SLOT_QUIT)
            return NULL;
        if (!slot_run(s))
            continue;
        if (atomic_fetch_sub(&p->pending, 1) == 1 && atomic_load(&p->caller_asleep)) {
            pthread_mutex_lock(&p->mutex);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->mutex);
        }
    }
}

/* Signals are for the program's own threads, so workers start with all of them blocked. */
static void start_workers(leat_pool *p)
{
    sigset_t all, before;
    sigfillset(&all);
    p->started = true;
    p->pid = getpid();
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return;
    while (p->workers < p->threads - 1) {
        slot *s = &p->slots[p->workers];
        if (pthread_create(&s->thread, NULL, worker_main, s) != 0)
            break;
        p->workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the pool ---------------------------------------------------------------------------------------------------- */

/* The number that a text starts with, at most MAX_THREADS; 0 when there is none. */
static int read_count(const char *text)
{
    int64_t n = 0;
    for (; *text >= '0' && *text <= '9' && n < MAX_THREADS; text++)
        n = 10 * n + (*text - '0');
    return (int)(n < MAX_THREADS ? n : MAX_THREADS);
}

static int default_threads(void)
{
    const char *wish = getenv("LEAT_NUM_THREADS");
    int n = wish ? read_count(wish) : 0;
    return n > 0 ? n : leat_available_threads();
}

leat_pool *leat_pool_new(int threads, const leat_allocator *allocator)
{
    if (threads <= 0)
        threads = default_threads();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    /* The arena aligns to 64 bytes only; the room beside the pool and the slots makes up for the rest. */
    leat_arena arena;
    leat_arena_init(&arena, allocator);
    size_t workers = (size_t)threads - 1;
    char *block = leat_arena_zalloc(&arena, sizeof(leat_pool) + workers * sizeof(slot) + alignof(leat_pool));
    slot **call = leat_arena_alloc(&arena, (workers + 1) * sizeof(slot *));
    if (!block || !call) {
        leat_arena_free(&arena);
        return NULL;
    }
    block += -(uintptr_t)block % alignof(leat_pool);
    leat_pool *p = (void *)block;
    p->arena = arena;
    p->threads = threads;
    p->call = call;
    p->slots = (void *)(block + sizeof(leat_pool));
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->done, NULL);
    for (size_t i = 0; i < workers; i++) {
        slot *s = &p->slots[i];
        s->pool = p;
        atomic_init(&s->cpu, -1);
        pthread_mutex_init(&s->mutex, NULL);
        pthread_cond_init(&s->wake, NULL);
    }
    return p;
}

/* In a child of fork the workers are gone, and a mutex may be locked for ever. */
static bool workers_lost(const leat_pool *p)
{
    return p->started && p->pid != getpid();
}

void leat_pool_free(leat_pool *p)
{
    if (!p)
        return;
    if (!workers_lost(p)) {
        for (int i = 0; i < p->workers; i++)
            slot_open(&p->slots[i], SLOT_QUIT);
        for (int i = 0; i < p->workers; i++)
            pthread_join(p->slots[i].thread, NULL);
        for (int i = 0; i < p->threads - 1; i++) {
            pthread_mutex_destroy(&p->slots[i].mutex);
            pthread_cond_destroy(&p->slots[i].wake);
        }
        pthread_mutex_destroy(&p->mutex);
        pthread_cond_destroy(&p->done);
    }
    leat_arena arena = p->arena;
    leat_arena_free(&arena);
}

int leat_pool_threads(const leat_pool *p)
{
    return p ? p->threads : 1;
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

/* Whether this thread may use a single processor only. */
static bool is_confined(leat_pool *p)
{
#ifdef __linux__
    int64_t now = now_ns();
    if (now - p->looked > LOOK_NS) {
        cpu_set_t set;
        p->confined = sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1;
        p->looked = now;
    }
#endif
    return p->confined;
}

/* Chooses at most `wanted` workers, leaving out those with which the caller has to share its only processor. */
static int choose_workers(leat_pool *p, int64_t wanted)
{
    int n = 0, cpu = this_cpu();
    if (atomic_load_explicit(&p->caller_cpu, memory_order_relaxed) != cpu)
        atomic_store_explicit(&p->caller_cpu, cpu, memory_order_relaxed);
    for (int i = 0; i < p->workers && n < wanted; i++) {
        slot *s = &p->slots[i];
        bool shared = cpu >= 0 && atomic_load_explicit(&s->cpu, memory_order_relaxed) == cpu;
        if (!shared || !is_confined(p))
            p->call[n++] = s;
    }
    return n;
}

/* The begin of part i when n is cut, in multiples of grain, into `parts` near-equal parts. */
static int64_t part_begin(int64_t n, int64_t grain, int parts, int i)
{
    int64_t units = (n - 1) / grain + 1, each = units / parts, more = units % parts;
    int64_t unit = i * each + (i < more ? i : more);
    return unit < units ? unit * grain : n;
}

static void dispatch(leat_pool *p, int64_t n, int64_t grain, leat_range_fn *fn, void *arg)
{
    int called = choose_workers(p, (n - 1) / grain), parts = called + 1;
    atomic_store_explicit(&p->pending, called, memory_order_relaxed);
    for (int i = 0; i < called; i++) {
        slot *s = p->call[i];
        s->fn = fn;
        s->arg = arg;
        s->begin = part_begin(n, grain, parts, i + 1);
        s->end = part_begin(n, grain, parts, i + 2);
        slot_open(s, SLOT_OPEN);
    }
    fn(arg, 0, part_begin(n, grain, parts, 1));
    for (int i = called - 1; i >= 0; i--)
        if (slot_run(p->call[i]))
            atomic_fetch_sub(&p->pending, 1);
    if (called > 0)
        caller_wait(p, called);
}

void leat_parallel_for(leat_pool *p, int64_t n, int64_t grain, leat_range_fn *fn, void *arg)
{
    if (n <= 0)
        return;
    if (grain < 1)
        grain = 1;
    if (!p || p->threads == 1 || n <= grain || atomic_exchange_explicit(&p->busy, true, memory_order_acquire)) {
        fn(arg, 0, n);
        return;
    }
    if (!p->started)
        start_workers(p);
    if (workers_lost(p))
        fn(arg, 0, n);
    else
        dispatch(p, n, grain, fn, arg);
    atomic_store_explicit(&p->busy, false, memory_order_release);
}

/* ---- how many threads this process may use ----------------------------------------------------------------------- */

#ifdef __linux__
/* The beginning of a small file as a text; "" when it cannot be read. */
static const char *read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

/* ceil(quota / period) of one group, or MAX_THREADS without a limit. Version 2 has "quota period" in cpu.max, version 1
 * has two files; no limit is "max" or -1. */
static int group_limit(const char *folder)
{
    char path[600], text[64], *end;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    double quota = strtod(read_text(path, text, sizeof text), &end), period = strtod(end, NULL);
    if (text[0] == '\0') {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        quota = strtod(read_text(path, text, sizeof text), NULL);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        period = strtod(read_text(path, text, sizeof text), NULL);
    }
    if (!(quota > 0 && period > 0 && quota / period < MAX_THREADS))
        return MAX_THREADS;
    int whole = (int)(quota / period);
    return whole + (whole * period < quota);
}

/* The tightest limit on the way from a group to the root of its hierarchy. */
static int path_limit(const char *mount, const char *group)
{
    char folder[512];
    int limit = MAX_THREADS;
    size_t root = strlen(mount), length = root + strlen(group);
    if (length >= sizeof folder)
        return limit;
    memcpy(folder, mount, root);
    memcpy(folder + root, group, length - root + 1);
    for (;;) {
        int here = group_limit(folder);
        limit = here < limit ? here : limit;
        while (length > root && folder[length - 1] != '/')
            length--;
        if (length <= root)
            return limit;
        folder[--length] = '\0';
    }
}

/* /proc/self/cgroup has lines "id:controllers:group"; version 2 has no controllers there. */
static int cgroup_limit(void)
{
    char text[4096], *rest = text;
    int limit = MAX_THREADS;
    read_text("/proc/self/cgroup", text, sizeof text);
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *id = strsep(&line, ":"), *controllers = strsep(&line, ":");
        if (!id || !controllers || !line || line[0] != '/')
            continue;
        bool v2 = controllers[0] == '\0', counts = v2;
        for (char *name; (name = strsep(&controllers, ","));)
            counts = counts || strcmp(name, "cpu") == 0;
        if (!counts)
            continue;
        int here = path_limit(v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", line);
        limit = here < limit ? here : limit;
    }
    return limit;
}
#endif

int leat_available_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    int limit = MAX_THREADS;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    limit = cgroup_limit();
#endif
    return n < 1 ? 1 : n < limit ? (int)n : limit;
}
