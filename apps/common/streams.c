/* Standard streams, and results that would overwrite an input. */
#include "streams.h"

#include "../../tensor/files/json.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void app_begin(void)
{
    signal(SIGXFSZ, SIG_IGN);
}

int app_end(const char *program, int exit_code)
{
    bool failed = fflush(stdout) != 0;
    if ((failed && errno == EPIPE) || (!failed && !ferror(stdout)))
        return exit_code;
    app_say(program, "standard output: %s", failed ? strerror(errno) : "it could not be written");
    return exit_code ? exit_code : 1;
}

void app_say(const char *program, const char *format, ...)
{
    char line[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "%s: ", program);
    app_put_text(stderr, line);
    fputc('\n', stderr);
}

void app_put_text(FILE *f, const char *text)
{
    const char *from = text; /* not printed yet */
    for (size_t left = strlen(text), step; left > 0; text += step, left -= step) {
        unsigned char c = (unsigned char)text[0], second = (unsigned char)text[1];
        step = leat_utf8_length(text, left);
        bool control = step == 0 || c < ' ' || c == 0x7F, wide = c == 0xC2 && step == 2 && second < 0xA0;
        step += step == 0;
        if (!control && !wide)
            continue;
        fwrite(from, 1, (size_t)(text - from), f);
        fprintf(f, "\\x%02x", wide ? second : c);
        from = text + step;
    }
    fputs(from, f);
}

/* "-" stands for a standard stream; false when nothing is there. */
static bool look(const char *path, int stream, struct stat *st)
{
    return (strcmp(path, "-") == 0 ? fstat(stream, st) : stat(path, st)) == 0;
}

leat_code app_refuse_input(const char *out, const char *const *inputs, int count, leat_status *s)
{
    struct stat to, from;
    out = out ? out : "-";
    if (!look(out, STDOUT_FILENO, &to) || !S_ISREG(to.st_mode))
        return LEAT_OK;
    for (int i = 0; i < count; i++)
        if (inputs[i] && look(inputs[i], STDIN_FILENO, &from) && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
            return leat_fail(s, LEAT_EARG, "%s: it is the input %s, which would be overwritten", out, inputs[i]);
    return LEAT_OK;
}

int64_t app_count_not_finite(leat_doubles rows)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows.rows; i++) {
        int64_t j = 0;
        while (j < rows.columns && isfinite(rows.data[i * rows.columns + j]))
            j++;
        count += j < rows.columns;
    }
    return count;
}
