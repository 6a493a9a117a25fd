/*
 * The command line, read by a table.
 *
 * Defaults go through the same readers as values do, so a default that its own option would refuse is found by the
 * first run. Positional arguments are collected at the front of argv as they are met, which never overtakes the
 * reading.
 */
#include "options.h"
#include "streams.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const app_option help_option = {
    .name = "help", .letter = 'h', .kind = APP_KIND_FLAG, .help = "print this and exit"
};
static const app_option version_option = { .name = "version",
                                           .kind = APP_KIND_FLAG,
                                           .help = "print the version and exit" };

/* The i-th option, the two that every program has at the end; NULL behind them. */
static const app_option *option_at(const app_program *p, int i)
{
    if (i < p->option_count)
        return &p->options[i];
    return i == p->option_count ? &help_option : i == p->option_count + 1 ? &version_option : NULL;
}

static const size_t field_size[] = {
    [APP_KIND_INTEGER] = sizeof(int64_t),    [APP_KIND_POSITIVE] = sizeof(double),
    [APP_KIND_NONNEGATIVE] = sizeof(double), [APP_KIND_STRING] = sizeof(const char *),
    [APP_KIND_CHOICE] = sizeof(int),         [APP_KIND_SIZES] = sizeof(app_sizes),
    [APP_KIND_FLAG] = sizeof(bool),
};

/* ---- values ------------------------------------------------------------------------------------------------------ */

static bool read_sizes(const char *text, app_sizes *out)
{
    *out = (app_sizes){ 0 };
    for (;;) {
        size_t length = strcspn(text, ",");
        if (out->count == APP_MAX_SIZES || !app_integer_read(text, length, &out->size[out->count]) ||
            out->size[out->count] < 1)
            return false;
        out->count++;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

static bool read_choice(const char *words, const char *text, int *out)
{
    size_t size = strlen(text);
    for (int i = 0;; i++) {
        size_t length = strcspn(words, "|");
        if (length == size && memcmp(words, text, size) == 0) {
            *out = i;
            return true;
        }
        if (words[length] == '\0')
            return false;
        words += length + 1;
    }
}

static int64_t highest(const app_option *o)
{
    return o->max == 0 && o->min >= 0 ? INT64_MAX : o->max;
}

static bool read_value(const app_option *o, const char *text, void *settings)
{
    void *field = (char *)settings + o->offset;
    size_t size = strlen(text);
    switch (o->kind) {
    case APP_KIND_INTEGER: {
        int64_t *n = field;
        if (o->words && strcmp(text, o->words) == 0) {
            *n = -1;
            return true;
        }
        return app_integer_read(text, size, n) && *n >= o->min && *n <= highest(o);
    }
    case APP_KIND_POSITIVE:
    case APP_KIND_NONNEGATIVE: {
        double *x = field;
        if (o->words && strcmp(text, o->words) == 0) {
            *x = -1;
            return true;
        }
        return app_number_read(text, size, x) && isfinite(*x) &&
               (*x > 0 || (*x == 0 && o->kind == APP_KIND_NONNEGATIVE));
    }
    case APP_KIND_STRING:
        *(const char **)field = text;
        return true;
    case APP_KIND_CHOICE:
        return read_choice(o->words, text, field);
    case APP_KIND_SIZES:
        return read_sizes(text, field);
    case APP_KIND_FLAG:
        *(bool *)field = true;
        return true;
    }
    return false;
}

/* "nice|a|b" as "nice, a or b" */
static void print_words(FILE *f, const char *words)
{
    for (const char *end = words + strcspn(words, "|");; end = words + strcspn(words, "|")) {
        fprintf(f, "%.*s", (int)(end - words), words);
        if (*end == '\0')
            return;
        words = end + 1;
        fputs(strchr(words, '|') ? ", " : " or ", f);
    }
}

static void print_needs(FILE *f, const app_option *o)
{
    switch (o->kind) {
    case APP_KIND_INTEGER:
        if (highest(o) == INT64_MAX)
            fprintf(f, "needs a whole number of at least %lld", (long long)o->min);
        else
            fprintf(f, "needs a whole number from %lld to %lld", (long long)o->min, (long long)o->max);
        break;
    case APP_KIND_POSITIVE:
        fputs("needs a number above 0", f);
        break;
    case APP_KIND_NONNEGATIVE:
        fputs("needs a number of at least 0", f);
        break;
    case APP_KIND_STRING:
        fprintf(f, "needs a value%s%s", o->value ? ": " : "", o->value ? o->value : "");
        break;
    case APP_KIND_CHOICE:
        fputs("needs ", f);
        print_words(f, o->words);
        break;
    case APP_KIND_SIZES:
        fprintf(f, "needs whole numbers of at least 1 with commas between them, like 128,128 (%d at most)",
                APP_MAX_SIZES);
        break;
    case APP_KIND_FLAG:
        fputs("takes no value", f);
        break;
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

enum { LONGEST_NAME = 40 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that turn a[0 .. n) into b. */
static int edit_distance(const char *a, size_t n, const char *b)
{
    int rows[3][LONGEST_NAME + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    size_t m = strlen(b);
    for (size_t j = 0; j <= m; j++)
        above[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *oldest = before;
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[m];
}

/* The name that was probably meant: a longer or shorter form of what was typed, or a few slips away from it. */
static const char *nearest_name(const app_program *p, const char *typed, size_t size)
{
    const char *best = NULL;
    int distance = 0;
    for (int i = 0; option_at(p, i); i++) {
        const char *name = option_at(p, i)->name;
        size_t length = strlen(name), common = length < size ? length : size;
        int d;
        if (size == 0 || size > LONGEST_NAME || length > LONGEST_NAME)
            continue;
        d = common >= 3 && memcmp(name, typed, common) == 0 ? 1 : edit_distance(typed, size, name);
        if (d <= 1 + (int)common / 4 && (!best || d < distance)) {
            best = name;
            distance = d;
        }
    }
    return best;
}

static const app_option *find(const app_program *p, const char *name, size_t size)
{
    for (int i = 0; option_at(p, i); i++) {
        const app_option *o = option_at(p, i);
        if (strlen(o->name) == size && memcmp(o->name, name, size) == 0)
            return o;
    }
    return NULL;
}

/* ---- --help ------------------------------------------------------------------------------------------------------ */

/* "--lr NUMBER", or its width alone when f is NULL. */
static int print_usage(FILE *f, const app_option *o)
{
    static const char *const names[] = {
        [APP_KIND_INTEGER] = "N",   [APP_KIND_POSITIVE] = "X",  [APP_KIND_NONNEGATIVE] = "X",
        [APP_KIND_STRING] = "TEXT", [APP_KIND_CHOICE] = "WORD", [APP_KIND_SIZES] = "N,N,...",
        [APP_KIND_FLAG] = "",
    };
    const char *value = o->value ? o->value : names[o->kind];
    bool short_form = o->letter && o != &help_option;
    if (f) {
        if (short_form)
            fprintf(f, "-%c, ", o->letter);
        fprintf(f, "--%s%s%s", o->name, *value ? " " : "", value);
    }
    return (short_form ? 4 : 0) + (int)(2 + strlen(o->name) + (*value ? 1 : 0) + strlen(value));
}

static void print_help(const app_program *p, FILE *f)
{
    int width = 0;
    fprintf(f, "Usage: %s [options]%s%s\n\n%s\n\nOptions:\n", p->name, p->arguments ? " " : "",
            p->arguments ? p->arguments : "", p->summary);
    for (int i = 0; option_at(p, i); i++) {
        int w = print_usage(NULL, option_at(p, i));
        width = w > width ? w : width;
    }
    for (int i = 0; option_at(p, i); i++) {
        const app_option *o = option_at(p, i);
        int used;
        fputs("  ", f);
        used = print_usage(f, o);
        fprintf(f, "%*s%s", width - used + 2, "", o->help ? o->help : "");
        if (o->kind == APP_KIND_CHOICE) {
            fputs(": ", f);
            print_words(f, o->words);
        }
        if (o->fallback)
            fprintf(f, "%s[%s]", o->help ? " " : "", o->fallback);
        fputc('\n', f);
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int refuse_end(const app_program *p)
{
    fprintf(stderr, " (%s --help lists the options)\n", p->name);
    return 2;
}

static int refuse_value(const app_program *p, const app_option *o, const char *text)
{
    char shown[APP_EXCERPT];
    fprintf(stderr, "%s: --%s", p->name, o->name);
    if (text)
        fprintf(stderr, " %s", *text ? app_excerpt(text, strlen(text), shown) : "\"\"");
    fputs(": ", stderr);
    print_needs(stderr, o);
    return refuse_end(p);
}

static int refuse_name(const app_program *p, const char *name, size_t size)
{
    const char *nearest = nearest_name(p, name, size);
    char shown[APP_EXCERPT];
    fprintf(stderr, "%s: unknown option --%s", p->name, app_excerpt(name, size, shown));
    if (nearest)
        fprintf(stderr, ", did you mean --%s?", nearest);
    return refuse_end(p);
}

/* The option that a word "-n" stands for, or NULL. */
static const app_option *find_letter(const app_program *p, const char *word)
{
    const app_option *o = NULL;
    for (int i = 0; word[1] != '\0' && word[2] == '\0' && (o = option_at(p, i)) != NULL && o->letter != word[1]; i++) {
    }
    return o;
}

/* Reads the option at argv[*i] and moves *i to the last word it used. */
static int read_option(const app_program *p, int argc, char **argv, int *i, void *settings)
{
    bool letter = argv[*i][1] != '-';
    const char *name = argv[*i] + 2, *equals = letter ? NULL : strchr(name, '='), *text = equals ? equals + 1 : NULL;
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const app_option *o = letter ? find_letter(p, argv[*i]) : find(p, name, size);
    if (!o && letter) {
        char shown[APP_EXCERPT];
        fprintf(stderr, "%s: unknown option %s", p->name, app_excerpt(argv[*i], strlen(argv[*i]), shown));
        return refuse_end(p);
    }
    if (!o)
        return refuse_name(p, name, size);
    if (o->kind == APP_KIND_FLAG) {
        if (text)
            return refuse_value(p, o, text);
    } else if (!text) {
        if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0) /* a value like that can be given with "=" */
            return refuse_value(p, o, NULL);
        text = argv[++*i];
    }
    if (o == &help_option) {
        print_help(p, stdout);
        return 0;
    }
    if (o == &version_option) {
        printf("%s (leat) %s\n", p->name, LEAT_VERSION);
        return 0;
    }
    return read_value(o, text ? text : "", settings) ? -1 : refuse_value(p, o, text);
}

static int set_defaults(const app_program *p, void *settings)
{
    for (int i = 0; i < p->option_count; i++) {
        const app_option *o = &p->options[i];
        memset((char *)settings + o->offset, 0, field_size[o->kind]);
        if (o->fallback && !read_value(o, o->fallback, settings))
            return refuse_value(p, o, o->fallback);
    }
    return -1;
}

static int check_arguments(const app_program *p, const app_arguments *given)
{
    int most = p->arguments ? p->max_arguments : 0, few = p->arguments ? p->min_arguments : 0;
    char shown[APP_EXCERPT];
    if (most >= few && given->count > most) {
        const char *extra = given->values[most];
        fprintf(stderr, "%s: unexpected argument %s", p->name, app_excerpt(extra, strlen(extra), shown));
        return refuse_end(p);
    }
    if (given->count < few) {
        fprintf(stderr, "%s: needs %s", p->name, p->arguments);
        return refuse_end(p);
    }
    return -1;
}

/* The library goes without a number that it cannot read; here that is said. */
static void look_at_environment(const app_program *p)
{
    const char *wish = getenv("LEAT_NUM_THREADS");
    char shown[APP_EXCERPT];
    int64_t n;
    if (wish && (!app_integer_read(wish, strlen(wish), &n) || n < 0 || n > 1024)) {
        app_say(p->name, "warning: LEAT_NUM_THREADS=%s is no number of threads, 1 to 1024",
                app_excerpt(wish, strlen(wish), shown));
    }
}

int app_options_parse(const app_program *p, int argc, char **argv, void *settings, app_arguments *rest)
{
    app_arguments given = { 0, argv + (argc > 0) };
    bool options = true;
    int exit_code = set_defaults(p, settings);
    for (int i = 1; exit_code < 0 && i < argc; i++)
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
            exit_code = read_option(p, argc, argv, &i, settings);
        else
            given.values[given.count++] = argv[i];
    if (exit_code < 0) {
        exit_code = check_arguments(p, &given);
        look_at_environment(p);
    }
    if (rest)
        *rest = given;
    return exit_code;
}
