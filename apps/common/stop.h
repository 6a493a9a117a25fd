/* Ending a long run on request: Ctrl-C, SIGTERM and SIGHUP, and the words that tell how to go on. */
#ifndef APPS_COMMON_STOP_H
#define APPS_COMMON_STOP_H

#include "../../tensor/tensor.h"

/* From here on the first SIGINT, SIGTERM or SIGHUP is only noted; another one, half a second later or more, does what
 * it did before. One that was ignored before stays so. */
void app_stop_begin(void);
void app_stop_end(void); /* signals do again what they did before */
bool app_stop_requested(void);

enum { APP_STOPPED = 130 }; /* the exit code, a shell's for SIGINT */

/* The command line with --resume `path` at its end instead of any that it has, quoted for a shell; `command` stands for
 * argv[0] unless it is NULL. NULL when out of memory. */
const char *app_resume_command(leat_arena *a, const char *command, int argc, char *const *argv, const char *path);

#endif
