/* Opening a table as the options say. */
#include "table_input.h"

#include <stdio.h>
#include <string.h>

/* One character, or the name of one that is hard to type; 0 if it is neither. */
static char read_delimiter(const char *text)
{
    return strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0 ? '\t'
           : strcmp(text, "space") == 0                         ? ' '
           : strlen(text) == 1                                  ? *text
                                                                : '\0';
}

leat_table *app_table_open(const char *program, const char *path, const app_table_settings *o, leat_table_opts opts,
                           leat_status *s)
{
    leat_table *t;
    opts.columns = o->columns;
    opts.header = (leat_table_header)o->header;
    opts.delimiter = o->delimiter ? read_delimiter(o->delimiter) : '\0';
    opts.decimal = o->decimal ? *o->decimal : '\0';
    if (o->delimiter && !opts.delimiter) {
        leat_fail(s, LEAT_EARG, "--delimiter %.20s: it is one character, or tab, or space", o->delimiter);
        return NULL;
    }
    if (o->decimal && strcmp(o->decimal, ".") != 0 && strcmp(o->decimal, ",") != 0) {
        leat_fail(s, LEAT_EARG, "--decimal %.20s: it is a point or a comma", o->decimal);
        return NULL;
    }
    t = leat_table_open(path, &opts, s);
    if (t && program && leat_table_note(t))
        fprintf(stderr, "%s: warning: %s: %s (--header yes or no decides)\n", program, path, leat_table_note(t));
    return t;
}
