/* A line on the terminal that says how far a long run is. It begins with a carriage return and is cut to the terminal's
 * width, because a line that wraps could not be taken back. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double app_progress_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *app_time_text(double seconds, char out[APP_TIME_TEXT])
{
    long long s = seconds < 360000 ? (long long)(seconds + 0.5) : 359999;
    if (s >= 3600)
        snprintf(out, APP_TIME_TEXT, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, APP_TIME_TEXT, "%lld:%02lld", s / 60, s % 60);
    return out;
}

const char *app_progress_text(int64_t done, int64_t skipped, int64_t total, double seconds, double loss,
                              char out[APP_PROGRESS_TEXT])
{
    double part = total > 0 ? (double)done / (double)total : 0,
           rate = seconds > 0 ? (double)(done - skipped) / seconds : 0;
    double left = rate > 0 && total > done ? (double)(total - done) / rate : 0;
    char time[APP_TIME_TEXT];
    snprintf(out, APP_PROGRESS_TEXT, "%3d%%  step %lld/%lld  %.*f steps/s  %s left  loss %.4f", (int)(100 * part),
             (long long)done, (long long)total, rate < 10 ? 1 : 0, rate, app_time_text(left, time), loss);
    return out;
}

void app_progress_start(app_progress *p, int64_t total, bool quiet)
{
    const char *term = getenv("TERM");
    *p = (app_progress){ .total = total, .start = app_progress_now() };
    p->shown = p->start; /* the first rate is one over a tenth of a second at least */
    p->enabled = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void app_progress_skip(app_progress *p, int64_t steps)
{
    p->done += steps;
    p->skipped += steps;
}

static int terminal_width(void)
{
    struct winsize size = { 0 };
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

void app_progress_step(app_progress *p, double loss)
{
    char text[APP_PROGRESS_TEXT];
    double time;
    p->done++;
    if (!p->enabled)
        return;
    time = app_progress_now();
    if (time - p->shown < 0.1)
        return;
    app_progress_text(p->done, p->skipped, p->total, time - p->start, loss, text);
    fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, text);
    fflush(stderr);
    p->shown = time;
    p->visible = true;
}

void app_progress_clear(app_progress *p)
{
    if (p->visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->visible = false;
    }
}
