/*
 * How many threads a process may use, by its control groups: the files of version 1 and 2, at every level of nesting.
 *
 * The library reads them from /proc and /sys. This program has an `open` of its own, which the linker prefers to libc's,
 * and which looks for those files in the test's folder; and a machine of six processors by the same means.
 */
#undef _FORTIFY_SOURCE /* with which libc has an inline `open` */
#define _GNU_SOURCE
#include "file_helpers.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifdef __linux__

enum { PROCESSORS = 6 };

static bool redirected; /* files of the system are those in the folder, under their names with _ for / */

static const char *stand_in(const char *path)
{
    char name[600];
    size_t n = 0;
    for (const char *c = path; *c && n < sizeof name - 1; c++)
        if (*c != '/' || n == 0 || name[n - 1] != '_') /* "//" is "/" */
            name[n++] = *c == '/' ? '_' : *c;
    name[n] = '\0';
    return in_folder(name);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    unsigned mode = flags & O_CREAT ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    bool ours = redirected && (strncmp(path, "/proc/self/cgroup", 17) == 0 || strncmp(path, "/sys/fs/cgroup", 14) == 0);
    return (int)syscall(SYS_openat, AT_FDCWD, ours ? stand_in(path) : path, flags, mode);
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    CPU_ZERO_S(size, set);
    for (size_t i = 0; i < PROCESSORS; i++)
        CPU_SET_S(i, size, set);
    return 0;
}

static const char v2[] = "0::/outer/inner\n";
static const char v1[] = "5:memory:/other\n4:cpu,cpuacct:/outer/inner\n3:cpuset:/other\n";

static const struct machine {
    const char *groups; /* of /proc/self/cgroup; NULL: there is no such file */
    struct {
        const char *path, *text;
    } files[6];
    int threads;
} machines[] = {
    { NULL, { { 0 } }, PROCESSORS },
    { "", { { 0 } }, PROCESSORS },
    { v2, { { 0 } }, PROCESSORS },
    { v1, { { 0 } }, PROCESSORS },
    /* version 2 */
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "300000 100000\n" } }, 3 },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "300001 100000\n" } }, 4 },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "1000 100000\n" } }, 1 },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "25000 10000\n" } }, 3 },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "900000 100000\n" } }, PROCESSORS },
    { v2,
      { { "/sys/fs/cgroup/outer/inner/cpu.max", "400000 100000\n" },
        { "/sys/fs/cgroup/outer/cpu.max", "200000 100000\n" } },
      2 },
    { v2,
      { { "/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n" }, { "/sys/fs/cgroup/cpu.max", "500000 100000\n" } },
      5 },
    { "0::/\n", { { "/sys/fs/cgroup/cpu.max", "200000 100000\n" } }, 2 },
    { "0::/seen/from/outside\n", { { "/sys/fs/cgroup/cpu.max", "200000 100000\n" } }, 2 },
    { "0::/outer:with:colons\n", { { "/sys/fs/cgroup/outer:with:colons/cpu.max", "200000 100000\n" } }, 2 },
    { "0::/outer/other\n", { { "/sys/fs/cgroup/outer/inner/cpu.max", "100000 100000\n" } }, PROCESSORS },
    /* version 1 */
    { v1,
      { { "/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_quota_us", "-1\n" },
        { "/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_period_us", "100000\n" } },
      PROCESSORS },
    { v1,
      { { "/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_quota_us", "150000\n" },
        { "/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_period_us", "100000\n" } },
      2 },
    { v1,
      { { "/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_quota_us", "400000\n" },
        { "/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_period_us", "100000\n" },
        { "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "30000\n" },
        { "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "10000\n" } },
      3 },
    { "7:cpuacct,cpu:/\n",
      { { "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n" }, { "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" } },
      4 },
    { "7:cpuset,cpu,cpuacct:/\n",
      { { "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n" }, { "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" } },
      3 },
    { "7:cpuset:/\n8:memory:/\n9:cpuacct:/\n",
      { { "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n" }, { "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" } },
      PROCESSORS },
    /* both at once: the tighter */
    { "4:cpu:/a\n0::/b\n",
      { { "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n" },
        { "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n" },
        { "/sys/fs/cgroup/b/cpu.max", "300000 100000\n" } },
      3 },
    /* nonsense is no limit */
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "200000" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "200000 0\n" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "0 100000\n" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "-200000 -100000\n" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "nan nan\n" } }, PROCESSORS },
    { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "1e300 1e-300\n" } }, PROCESSORS },
    { "nothing of the kind\n:\n0:\n0::\n0::elsewhere\n",
      { { "/sys/fs/cgroup/cpu.max", "200000 100000\n" } },
      PROCESSORS },
};

static void lay_out(const struct machine *m)
{
    make_folder();
    if (m->groups)
        spill(stand_in("/proc/self/cgroup"), m->groups, strlen(m->groups));
    for (int i = 0; i < 6 && m->files[i].path; i++)
        spill(stand_in(m->files[i].path), m->files[i].text, strlen(m->files[i].text));
}

Test(cgroup, limits_are_kept)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        lay_out(&machines[i]);
        redirected = true;
        int got = leat_available_threads();
        redirected = false;
        remove_folder();
        cr_expect_eq(got, machines[i].threads, "machine %zu: %d threads, not %d", i, got, machines[i].threads);
    }
}

/* A pool's own size is by the same limit, unless the environment or the caller says otherwise. */
Test(cgroup, pools_keep_them)
{
    static const struct machine two = { v2, { { "/sys/fs/cgroup/outer/inner/cpu.max", "200000 100000\n" } }, 2 };
    lay_out(&two);
    redirected = true;
    unsetenv("LEAT_NUM_THREADS");
    leat_pool *own = leat_pool_new(0, NULL), *asked = leat_pool_new(5, NULL);
    setenv("LEAT_NUM_THREADS", "4", 1);
    leat_pool *wished = leat_pool_new(0, NULL);
    redirected = false;
    remove_folder();
    cr_expect_eq(leat_pool_threads(own), 2);
    cr_expect_eq(leat_pool_threads(asked), 5);
    cr_expect_eq(leat_pool_threads(wished), 4);
    leat_pool_free(own);
    leat_pool_free(asked);
    leat_pool_free(wished);
}

#endif
