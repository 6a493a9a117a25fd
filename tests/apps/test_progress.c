/* The progress line: its text, and silence where no terminal is. */
#include "../../apps/common/progress.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <math.h>
#include <stdio.h>

typedef struct text_case {
    int64_t done, skipped, total;
    double seconds, loss;
    const char *text;
} text_case;

static const text_case text_cases[] = {
    { 0, 0, 400, 0, 2.5, "  0%  step 0/400  0.0 steps/s  0:00 left  loss 2.5000" },
    { 100, 0, 400, 2, 2.10344, " 25%  step 100/400  50 steps/s  0:06 left  loss 2.1034" },
    { 1, 0, 400, 4, 2, "  0%  step 1/400  0.2 steps/s  26:36 left  loss 2.0000" },
    { 1, 0, 40000, 0.5, 2, "  0%  step 1/40000  2.0 steps/s  5:33:20 left  loss 2.0000" },
    { 399, 0, 400, 3.99, -1, " 99%  step 399/400  100 steps/s  0:00 left  loss -1.0000" },
    { 400, 0, 400, 4, -1, "100%  step 400/400  100 steps/s  0:00 left  loss -1.0000" },
    { 300, 200, 400, 2, 2.5, " 75%  step 300/400  50 steps/s  0:02 left  loss 2.5000" },
    { 200, 200, 400, 0, 2.5, " 50%  step 200/400  0.0 steps/s  0:00 left  loss 2.5000" },
    { 1, 0, INT64_MAX, 1, 0, "  0%  step 1/9223372036854775807  1.0 steps/s  99:59:59 left  loss 0.0000" },
};

Test(progress, text)
{
    for (size_t i = 0; i < sizeof text_cases / sizeof *text_cases; i++) {
        const text_case *c = &text_cases[i];
        char text[APP_PROGRESS_TEXT];
        cr_expect_str_eq(app_progress_text(c->done, c->skipped, c->total, c->seconds, c->loss, text), c->text);
    }
}

Test(progress, long_numbers_are_cut_off)
{
    char text[APP_PROGRESS_TEXT];
    app_progress_text(INT64_MAX, 0, INT64_MAX, 1e-300, 1e308, text);
    cr_assert_lt(strlen(text), APP_PROGRESS_TEXT);
}

Test(progress, silent_without_a_terminal, .init = cr_redirect_stderr)
{
    app_progress p;
    app_progress_start(&p, 3, false);
    for (int i = 0; i < 3; i++)
        app_progress_step(&p, 1.0);
    app_progress_clear(&p);
    cr_assert_eq(p.done, 3);
    app_progress_skip(&p, 10);
    cr_assert(p.done == 13 && p.skipped == 10);
    fflush(stderr);
    cr_assert_stderr_eq_str("");
}
