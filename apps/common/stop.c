/* Ending a long run on request. The handler only notes the signal: the run looks at the note between two steps. */
#include "stop.h"
#include "text.h"

#include <signal.h>
#include <string.h>
#include <time.h>

enum { ONE_REQUEST_MS = 500 };

static volatile sig_atomic_t requested;
static struct timespec requested_at; /* the handler's own */
enum { SIGNALS = 3 };

static struct sigaction before[SIGNALS];
static const int signals[SIGNALS] = { SIGINT, SIGTERM, SIGHUP };

/* What comes right behind the first signal is the same request: timeout(1) sends one to the process and one to its
 * group, which arrive as two if the first is handled in between. */
static void note(int signal)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!requested) {
        requested_at = now;
        requested = 1;
        return;
    }
    int64_t seconds = now.tv_sec - requested_at.tv_sec, nanoseconds = now.tv_nsec - requested_at.tv_nsec;
    if (seconds * 1000 + nanoseconds / 1000000 >= ONE_REQUEST_MS) {
        app_stop_end();
        raise(signal);
    }
}

void app_stop_begin(void)
{
    struct sigaction action = { .sa_handler = note };
    requested = 0;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&action.sa_mask, signals[i]);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

void app_stop_end(void)
{
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
}

bool app_stop_requested(void)
{
    return requested != 0;
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static void add_word(app_text *t, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:,+@%-";
    if (t->size)
        app_text_add(t, " ", 1);
    if (word[0] && strspn(word, plain) == strlen(word)) {
        app_text_add(t, word, strlen(word));
        return;
    }
    app_text_add(t, "'", 1);
    for (const char *c = word; *c; c++) {
        if (*c == '\'')
            app_text_add(t, "'\\''", 4);
        else
            app_text_add(t, c, 1);
    }
    app_text_add(t, "'", 1);
}

const char *app_resume_command(leat_arena *a, const char *command, int argc, char *const *argv, const char *path)
{
    app_text t = app_text_new(a);
    bool added = false;
    if (command)
        app_text_add(&t, command, strlen(command));
    else if (argc > 0)
        add_word(&t, argv[0]);
    for (int i = 1; i < argc; i++) {
        if (!added && strcmp(argv[i], "--resume") == 0) {
            i++; /* and its value */
            continue;
        }
        if (!added && strncmp(argv[i], "--resume=", 9) == 0)
            continue;
        if (!added && strcmp(argv[i], "--") == 0) { /* no options follow */
            add_word(&t, "--resume");
            add_word(&t, path);
            added = true;
        }
        add_word(&t, argv[i]);
    }
    if (!added) {
        add_word(&t, "--resume");
        add_word(&t, path);
    }
    return t.failed ? NULL : t.bytes;
}
