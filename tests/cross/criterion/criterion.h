/*
 * As much of Criterion as the tests of the kernels use, for machines that have none: tests/cross.sh puts this in its
 * place. Every test runs in a process of its own; a test that fails is named, and the program's exit code is then 1.
 */
#ifndef LEAT_TEST_CRITERION_H
#define LEAT_TEST_CRITERION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct cross_fixture {
    void (*init)(void), (*fini)(void);
} cross_fixture;

typedef struct cross_test {
    const char *name;
    void (*run)(void);
    struct cross_test *next;
} cross_test;

static cross_fixture cross_suite; /* a program has one suite */
static cross_test *cross_first, **cross_last = &cross_first;

#define TestSuite(suite, ...)                                                                                          \
    static __attribute__((constructor)) void cross_suite_##suite(void)                                                 \
    {                                                                                                                  \
        cross_suite = (cross_fixture){ __VA_ARGS__ };                                                                  \
    }                                                                                                                  \
    struct cross_semicolon

#define Test(suite, name)                                                                                              \
    static void cross_run_##name(void);                                                                                \
    static __attribute__((constructor)) void cross_add_##name(void)                                                    \
    {                                                                                                                  \
        static cross_test test = { #suite "/" #name, cross_run_##name, NULL };                                         \
        *cross_last = &test;                                                                                           \
        cross_last = &test.next;                                                                                       \
    }                                                                                                                  \
    static void cross_run_##name(void)

__attribute__((noreturn, __format__(__printf__, 3, 4))) static inline void cross_fail(const char *what, int line,
                                                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("line %d: %s:", line, what);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    fflush(stdout);
    _exit(1);
}

#define cr_assert(ok, ...)                  ((ok) ? (void)0 : cross_fail(#ok, __LINE__, " " __VA_ARGS__))
#define cr_assert_eq(a, b, ...)             cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...)             cr_assert((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...)            cr_assert((a) <= (b), __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)         cr_assert(strcmp(a, b) == 0, __VA_ARGS__)
#define cr_assert_float_eq(a, b, near, ...) cr_assert((a) - (b) <= (near) && (b) - (a) <= (near), __VA_ARGS__)

static bool cross_passes(const cross_test *test)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        if (cross_suite.init)
            cross_suite.init();
        test->run();
        if (cross_suite.fini)
            cross_suite.fini();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    int count = 0, failures = 0;
    for (const cross_test *test = cross_first; test; test = test->next, count++) {
        if (!cross_passes(test)) {
            printf("%s fails\n", test->name);
            failures++;
        }
        fflush(stdout);
    }
    printf("%d tests, %d failures\n", count, failures);
    return count == 0 || failures > 0;
}

#endif
