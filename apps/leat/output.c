/* Rows on their way out. */
#include "output.h"
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

leat_table_writer *app_output_open(app_trained *m, const char *out, const char *const *names, int64_t columns)
{
    const leat_table_writer_opts opts = { .columns = columns, .names = names };

    return leat_table_create(out ? out : "-", &opts, &m->status);
}

leat_code app_output_close(app_trained *m, leat_table_writer *w)
{
    if (m->status.code) {
        leat_table_discard(w);
        return m->status.code;
    }
    return leat_table_commit(w, &m->status);
}

int app_end_output(const char *program)
{
    bool failed = fflush(stdout) != 0;

    if (failed || ferror(stdout)) {
        if (errno == EPIPE) {
            return 0;
        }
        fprintf(stderr, "%s: standard output: %s\n", program, strerror(errno));
        return 1;
    }
    return 0;
}
