/* A line on the terminal that says how far a long run is. Nothing is shown when stderr is no terminal. */
#ifndef APPS_COMMON_PROGRESS_H
#define APPS_COMMON_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct app_progress {
    int64_t done, total, skipped; /* skipped: of done, those that were done before this run */
    double start, shown;          /* seconds: of the first step, of the last redrawing */
    bool enabled, visible;
} app_progress;

void app_progress_start(app_progress *p, int64_t total, bool quiet);

/* The first steps were done before, by a run that this one goes on with. */
void app_progress_skip(app_progress *p, int64_t steps);

/* One step more. The line is redrawn at most ten times a second. */
void app_progress_step(app_progress *p, double loss);

/* Seconds of a clock that only goes forward. */
double app_progress_now(void);

/* Seconds as 0:07 or 1:02:03. */
#define APP_TIME_TEXT 32
const char *app_time_text(double seconds, char out[APP_TIME_TEXT]);

/* Takes the line away, before other output and at the end; the next step brings it back. */
void app_progress_clear(app_progress *p);

/* The text of the line: "31%  step 1240/4000  812 steps/s  0:03 left  loss 2.1034". `skipped` of the steps that
 * are done took none of the seconds. Returns `out`. */
#define APP_PROGRESS_TEXT 160
const char *app_progress_text(int64_t done, int64_t skipped, int64_t total, double seconds, double loss,
                              char out[APP_PROGRESS_TEXT]);

#endif
