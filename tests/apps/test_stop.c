/* Stopping on request: what a signal does, and the command line that goes on. */
#include "../../apps/common/stop.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <time.h>

typedef struct line_case {
    const char *command; /* NULL: argv[0] */
    const char *words[8];
    const char *text;
} line_case;

static const line_case line_cases[] = {
    { NULL, { "./apps/train_nice" }, "./apps/train_nice --resume c.s" },
    { NULL, { "train", "--out", "my folder" }, "train --out 'my folder' --resume c.s" },
    { NULL, { "train", "--resume", "old", "--lr", "1e-3" }, "train --lr 1e-3 --resume c.s" },
    { NULL, { "train", "--resume=old", "--lr=2" }, "train --lr=2 --resume c.s" },
    { NULL, { "train", "--resume" }, "train --resume c.s" },
    { NULL, { "train", "it's", "" }, "train 'it'\\''s' '' --resume c.s" },
    { NULL, { "train", "a", "--", "--resume", "b" }, "train a --resume c.s -- --resume b" },
    { "leat fit", { "fit", "data.csv", "-o", "$m" }, "leat fit data.csv -o '$m' --resume c.s" },
};

Test(stop, command_line)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    for (size_t i = 0; i < sizeof line_cases / sizeof *line_cases; i++) {
        const line_case *c = &line_cases[i];
        char words[8][40], *argv[8];
        int argc = 0;
        for (; argc < 8 && c->words[argc]; argc++) {
            strcpy(words[argc], c->words[argc]);
            argv[argc] = words[argc];
        }
        cr_expect_str_eq(app_resume_command(&a, c->command, argc, argv, "c.s"), c->text);
    }
    leat_arena_free(&a);
}

static volatile sig_atomic_t reached;

static void reach(int signal)
{
    (void)signal;
    reached = 1;
}

Test(stop, the_first_signal_is_noted_and_afterwards_all_is_as_before)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    for (int i = 0; i < 3; i++) {
        signal(signals[i], reach);
        reached = 0;
        app_stop_begin();
        cr_assert_not(app_stop_requested());
        raise(signals[i]);
        cr_assert(app_stop_requested() && !reached);
        app_stop_end();
        raise(signals[i]);
        cr_assert(reached);
        app_stop_begin();
        cr_assert_not(app_stop_requested());
        app_stop_end();
    }
}

static void request_and_wait(void)
{
    app_stop_begin();
    raise(SIGINT);
    cr_assert(app_stop_requested());
    nanosleep(&(struct timespec){ .tv_nsec = 600000000 }, NULL);
}

Test(stop, a_second_signal_ends_the_process, .signal = SIGINT)
{
    signal(SIGINT, SIG_DFL);
    request_and_wait();
    raise(SIGINT);
}

Test(stop, a_second_signal_of_the_other_kind_ends_the_process, .signal = SIGTERM)
{
    signal(SIGTERM, SIG_DFL);
    request_and_wait();
    raise(SIGTERM);
}

Test(stop, signals_that_come_together_are_one_request)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    app_stop_begin();
    for (int i = 0; i < 3; i++) {
        raise(SIGINT);
        raise(SIGTERM);
    }
    cr_assert(app_stop_requested());
    app_stop_end();
}

/* As in a shell's background job. */
Test(stop, an_ignored_signal_stays_ignored)
{
    signal(SIGINT, SIG_IGN);
    app_stop_begin();
    raise(SIGINT);
    cr_assert_not(app_stop_requested());
    app_stop_end();
}
