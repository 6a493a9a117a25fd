#define _GNU_SOURCE /* O_TMPFILE */
/* Whole files: reading from files and pipes, replacing in one step, failures that leave everything as it was. */
#include "file_helpers.h"
#include "../../tensor/files/files.h"
#include "../../tensor/files/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(file, .init = make_folder, .fini = remove_folder);

static void check_content(const char *path, const void *data, size_t size)
{
    leat_arena a;
    char *got;
    size_t got_size;
    leat_status s = { 0 };
    leat_arena_init(&a, NULL);
    cr_assert_eq(leat_file_read(path, &a, &got, &got_size, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(got_size, size);
    cr_assert_eq(memcmp(got, data, size), 0);
    cr_assert_eq(got[size], 0);
    leat_arena_free(&a);
}

Test(file, round_trip_of_all_sizes)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 4096, 65535, 65536, 65537, 1000003 };
    char *data = malloc(1000003);
    for (size_t i = 0; i < 1000003; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *path = in_folder("x");
        leat_status s = { 0 };
        cr_assert_eq(leat_file_write(path, data, sizes[i], &s), LEAT_OK, "%s", s.message);
        check_content(path, data, sizes[i]);
        cr_assert_eq(files_in_folder(false), 1);
    }
    free(data);
}

Test(file, parts_follow_each_other)
{
    const leat_bytes parts[] = { { "abc", 3 }, { NULL, 0 }, { "", 0 }, { "defg", 4 } };
    cr_assert_eq(leat_file_write_parts(in_folder("x"), parts, 4, NULL), LEAT_OK);
    check_content(in_folder("x"), "abcdefg", 7);
    cr_assert_eq(leat_file_write_parts(in_folder("x"), parts, 0, NULL), LEAT_OK);
    check_content(in_folder("x"), "", 0);
}

struct feed {
    int fd;
    size_t size;
};

static void *feed_pipe(void *arg)
{
    struct feed *f = arg;
    for (size_t i = 0; i < f->size; i++) {
        char c = (char)(i % 251);
        if (write(f->fd, &c, 1) != 1)
            break;
    }
    close(f->fd);
    return NULL;
}

Test(file, reads_a_pipe)
{
    int ends[2];
    pthread_t thread;
    char path[32], *data = malloc(200000);
    cr_assert_eq(pipe(ends), 0);
    struct feed f = { ends[1], 200000 };
    cr_assert_eq(pthread_create(&thread, NULL, feed_pipe, &f), 0);
    for (size_t i = 0; i < f.size; i++)
        data[i] = (char)(i % 251);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    check_content(path, data, f.size);
    pthread_join(thread, NULL);
    close(ends[0]);
    free(data);
}

Test(file, reads_files_that_claim_no_size)
{
    leat_arena a;
    char *got;
    size_t size;
    leat_arena_init(&a, NULL);
    cr_assert_eq(leat_file_read("/proc/self/status", &a, &got, &size, NULL), LEAT_OK);
    cr_assert_eq(strncmp(got, "Name:", 5), 0);
    cr_assert_eq(strlen(got), size);
    leat_arena_free(&a);
}

static void check_unreadable(const char *path, int cause)
{
    leat_arena a;
    char *got = folder;
    size_t size = 1;
    leat_status s = { 0 };
    leat_arena_init(&a, NULL);
    cr_assert_eq(leat_file_read(path, &a, &got, &size, &s), LEAT_EIO);
    check_message(&s, path, strerror(cause));
    cr_assert(got == NULL && size == 0);
    cr_assert_eq(a.in_use, 0u);
    cr_assert_eq(leat_file_read(path, &a, &got, &size, NULL), LEAT_EIO);
    leat_arena_free(&a);
}

Test(file, says_why_it_cannot_read)
{
    cr_assert_eq(leat_file_write(in_folder("plain"), "x", 1, NULL), LEAT_OK);
    check_unreadable(in_folder("missing"), ENOENT);
    check_unreadable(folder, EISDIR);
    check_unreadable(in_folder("plain/below"), ENOTDIR);
    check_unreadable("", ENOENT);
}

Test(file, says_why_it_cannot_write)
{
    struct {
        const char *path;
        int cause;
    } cases[] = { { in_folder("none/x"), ENOENT }, { in_folder("plain/below"), ENOTDIR }, { folder, EISDIR } };
    cr_assert_eq(leat_file_write(in_folder("plain"), "old", 3, NULL), LEAT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_status s = { 0 };
        cr_assert_eq(leat_file_write(cases[i].path, "new", 3, &s), LEAT_EIO);
        check_message(&s, cases[i].path, strerror(cases[i].cause));
    }
    cr_assert_eq(leat_file_write("", "new", 3, NULL), LEAT_EIO);
    check_content(in_folder("plain"), "old", 3);
    cr_assert_eq(files_in_folder(false), 1);
}

Test(file, a_name_that_is_too_long_is_refused)
{
    char path[6000];
    leat_status s = { 0 };
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(leat_file_write(path, "x", 1, &s), LEAT_EIO);
    snprintf(path, sizeof path, "%s/%0255d", folder, 0);
    cr_assert_eq(leat_file_write(path, "x", 1, NULL), LEAT_OK, "the longest name has a temporary one all the same");
    check_content(path, "x", 1);
}

/* The disk is full in the middle: simulated by a limit on the size of files. */
Test(file, a_failed_write_leaves_the_old_file)
{
    struct rlimit limit = { 100000, 100000 };
    char *data = calloc(1, 300000);
    leat_status s = { 0 };
    cr_assert_eq(leat_file_write(in_folder("x"), "the old content", 15, NULL), LEAT_OK);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(leat_file_write(in_folder("x"), data, 300000, &s), LEAT_EIO);
    check_message(&s, in_folder("x"), strerror(EFBIG));
    check_content(in_folder("x"), "the old content", 15);
    cr_assert_eq(leat_file_write(in_folder("y"), data, 300000, NULL), LEAT_EIO);
    cr_assert_eq(files_in_folder(false), 1, "no temporary file and no y");
    free(data);
}

/* Killed at some moment of many saves, a process leaves the one content or the other. */
Test(file, a_kill_leaves_a_whole_file)
{
    enum { SIZE = 400000 };
    char *one = malloc(SIZE), *two = malloc(SIZE);
    memset(one, 1, SIZE);
    memset(two, 2, SIZE);
    cr_assert_eq(leat_file_write(in_folder("x"), one, SIZE, NULL), LEAT_OK);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int k = 0;; k++)
                leat_file_write(in_folder("x"), k % 2 ? one : two, SIZE, NULL);
        }
        usleep((useconds_t)(1000 + 137 * i));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        bytes got = slurp(in_folder("x"));
        cr_assert_eq(got.size, (size_t)SIZE);
        cr_assert(memcmp(got.data, one, SIZE) == 0 || memcmp(got.data, two, SIZE) == 0);
        free(got.data);
    }
    free(one);
    free(two);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    return st.st_mode & 0777;
}

Test(file, keeps_the_mode_and_respects_the_umask)
{
    umask(027);
    cr_assert_eq(leat_file_write(in_folder("x"), "1", 1, NULL), LEAT_OK);
    cr_assert_eq(mode_of(in_folder("x")), 0640u);
    cr_assert_eq(chmod(in_folder("x"), 0606), 0);
    cr_assert_eq(leat_file_write(in_folder("x"), "2", 1, NULL), LEAT_OK);
    cr_assert_eq(mode_of(in_folder("x")), 0606u);
    check_content(in_folder("x"), "2", 1);
}

Test(file, a_link_stays_a_link)
{
    struct stat st;
    cr_assert_eq(leat_file_write(in_folder("x"), "1", 1, NULL), LEAT_OK);
    cr_assert_eq(symlink("x", in_folder("link")), 0);
    cr_assert_eq(leat_file_write(in_folder("link"), "2", 1, NULL), LEAT_OK);
    cr_assert_eq(lstat(in_folder("link"), &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    check_content(in_folder("x"), "2", 1);
}

/* Links that lead to nothing are followed to where the file would be, from the folder that each stands in. */
Test(file, a_link_to_nothing_stays_a_link)
{
    struct stat st;
    cr_assert_eq(mkdir(in_folder("deep"), 0777), 0);
    cr_assert_eq(symlink("deep/second", in_folder("first")), 0);
    cr_assert_eq(symlink("../x", in_folder("deep/second")), 0);
    cr_assert_eq(symlink("none/x", in_folder("nowhere")), 0);
    cr_assert_eq(leat_file_write(in_folder("first"), "2", 1, NULL), LEAT_OK);
    cr_assert_eq(lstat(in_folder("first"), &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    check_content(in_folder("x"), "2", 1);
    leat_status s = { 0 };
    cr_assert_eq(leat_file_write(in_folder("nowhere"), "2", 1, &s), LEAT_EIO);
    check_message(&s, in_folder("nowhere"), strerror(ENOENT));
    cr_assert_eq(files_in_folder(false), 4);
    cr_assert_eq(unlink(in_folder("deep/second")) + rmdir(in_folder("deep")), 0);
}

/* Killed between the two names of a file, a writer leaves one, and the next one takes it away. */
Test(file, what_is_left_behind_goes_at_the_next_time)
{
    int left = 0;
    for (int i = 0; i < 300 && !left; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;)
                leat_file_write(in_folder("x"), "whole", 5, NULL);
        }
        usleep((useconds_t)(2000 + 37 * i));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        left = files_in_folder(false) - 1;
    }
    int fd = open(folder, O_TMPFILE | O_WRONLY, 0666);
    if (fd < 0)
        cr_skip_test("no files without a name here");
    close(fd);
    cr_assert_eq(leat_file_write(in_folder("x"), "new", 3, NULL), LEAT_OK);
    check_content(in_folder("x"), "new", 3);
    cr_assert_eq(files_in_folder(false), 1);
}

/* A file that is being written has no name where the system allows that: a killed writer leaves nothing. */
Test(file, a_kill_leaves_nothing_behind)
{
    int fd = open(folder, O_TMPFILE | O_WRONLY, 0666);
    if (fd < 0)
        cr_skip_test("no files without a name here");
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        leat_file_out f;
        if (!leat_file_begin(&f, in_folder("x"), NULL) && !leat_file_put(&f, "half", 4, NULL))
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int how;
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_assert(WIFSIGNALED(how));
    cr_assert_eq(files_in_folder(true), 0);
}

Test(file, a_long_path_does_not_hide_the_reason)
{
    char path[600];
    leat_status s = { 0 };
    snprintf(path, sizeof path, "%s/%0200d/%0200d/%0100d", folder, 0, 0, 0);
    cr_assert_eq(leat_file_write(path, "x", 1, &s), LEAT_EIO);
    cr_assert_not_null(strstr(s.message, strerror(ENOENT)), "%s", s.message);
    cr_assert_eq(strncmp(s.message, folder, strlen(folder)), 0);
    s = (leat_status){ 0 };
    for (size_t i = 0; i < sizeof path - 1; i++) /* three bytes each, cut at none of them */
        path[i] = "\xE2\x82\xAC"[i % 3];
    path[597] = '\0';
    leat_fail(&s, LEAT_EIO, "%s!", path);
    for (size_t at = 0, step; s.message[at]; at += step) {
        step = leat_utf8_length(s.message + at, strlen(s.message + at));
        cr_assert_gt(step, 0u);
    }
    cr_assert_eq(s.message[strlen(s.message) - 1], '!');
    leat_fail(&(leat_status){ 0 }, LEAT_EIO, "%0*d", 20000, 0);
}

Test(file, devices_are_written_to_and_not_replaced)
{
    struct stat st;
    cr_assert_eq(leat_file_write("/dev/null", "x", 1, NULL), LEAT_OK);
    cr_assert_eq(stat("/dev/null", &st), 0);
    cr_assert(S_ISCHR(st.st_mode));
    leat_status s = { 0 };
    if (stat("/dev/full", &st) == 0) {
        cr_assert_eq(leat_file_write("/dev/full", "x", 1, &s), LEAT_EIO);
        check_message(&s, "/dev/full", strerror(ENOSPC));
    }
}

static void *write_many(void *arg)
{
    char path[128];
    const char *data = arg;
    snprintf(path, sizeof path, "%s/x", folder);
    for (int i = 0; i < 20; i++)
        if (leat_file_write(path, data, 50000, NULL))
            return arg;
    return NULL;
}

Test(file, threads_do_not_mix_their_temporary_files)
{
    pthread_t thread[3];
    char *data[3];
    for (int i = 0; i < 3; i++) {
        data[i] = malloc(50000);
        memset(data[i], i, 50000);
        cr_assert_eq(pthread_create(&thread[i], NULL, write_many, data[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        cr_assert(failed == NULL);
    }
    bytes got = slurp(in_folder("x"));
    cr_assert_eq(got.size, 50000u);
    cr_assert_eq(memcmp(got.data, data[(int)got.data[0]], 50000), 0);
    cr_assert_eq(files_in_folder(false), 1);
    free(got.data);
    for (int i = 0; i < 3; i++)
        free(data[i]);
}

Test(file, a_name_left_behind_is_passed_over)
{
    char left[64];
    snprintf(left, sizeof left, ".leat-%ld-0", (long)getpid());
    spill(in_folder(left), "torn", 4);
    cr_assert_eq(leat_file_write(in_folder("x"), "whole", 5, NULL), LEAT_OK);
    check_content(in_folder("x"), "whole", 5);
    check_content(in_folder(left), "torn", 4);
}

Test(file, out_of_memory_is_a_status)
{
    char *got;
    size_t size;
    for (long n = 0;; n++) {
        countdown c = { .left = n };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        leat_status s = { 0 };
        leat_arena_init(&a, &allocator);
        leat_code code = leat_file_read("/proc/self/status", &a, &got, &size, &s);
        cr_assert(code == LEAT_OK || code == LEAT_ENOMEM);
        if (code)
            check_message(&s, "/proc/self/status", "out of memory");
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
        if (code == LEAT_OK) {
            cr_assert_gt(n, 0);
            return;
        }
    }
}
