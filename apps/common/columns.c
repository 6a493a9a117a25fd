/* What the columns of a table hold. */
#include "columns.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 900, MOST_CORRELATED = 256, ROWS_CORRELATED = 20000 };

/* ---- columns by name --------------------------------------------------------------------------------------------- */

/* The length of an item of a list, up to a comma outside of quotes. */
static size_t item_length(const char *list)
{
    bool quoted = false;
    size_t n = 0;
    for (; list[n] && (quoted || list[n] != ','); n++)
        quoted = quoted != (list[n] == '"');
    return n;
}

/* The column of that name, or, if none is called so, of that place in the file; -1: there is none. */
static int64_t find_column(const app_columns *c, const char *text, size_t size)
{
    int64_t place;
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
        text++;
        size -= 2;
    }
    for (int64_t j = 0; c->names && j < c->count; j++)
        if (strlen(c->names[j]) == size && memcmp(c->names[j], text, size) == 0)
            return j;
    for (int64_t j = 0; app_integer_read(text, size, &place) && j < c->count; j++)
        if (c->places[j] == place)
            return j;
    return -1;
}

static leat_code no_column(const app_columns *c, const char *option, const char *text, size_t size, leat_status *s)
{
    char shown[APP_EXCERPT];
    return leat_fail(s, LEAT_EARG, "%.300s: %s: no column '%s' is trained on", c->file, option,
                     app_excerpt(text, size, shown));
}

static leat_code no_memory(const app_columns *c, leat_status *s)
{
    return leat_fail(s, LEAT_ENOMEM, "%.300s: out of memory for its columns", c->file);
}

/* A bound, which may be left out. */
static bool read_bound(const char *text, size_t size, double none, double *out)
{
    *out = none;
    return size == 0 || (app_number_read(text, size, out) && isfinite(*out));
}

leat_code app_columns_bounds(app_columns *c, const char *list, leat_arena *a, leat_status *s)
{
    if (!list)
        return LEAT_OK;
    c->lower = leat_arena_alloc(a, (size_t)c->count * sizeof *c->lower);
    c->upper = leat_arena_alloc(a, (size_t)c->count * sizeof *c->upper);
    if (!c->lower || !c->upper)
        return no_memory(c, s);
    for (int64_t j = 0; j < c->count; j++) {
        c->lower[j] = -(double)INFINITY;
        c->upper[j] = (double)INFINITY;
    }
    for (const char *item = list; *item;) {
        size_t size = item_length(item), high = size, low, name;
        char shown[APP_EXCERPT];
        while (high > 0 && item[high - 1] != ':')
            high--;
        for (low = high ? high - 1 : 0; low > 0 && item[low - 1] != ':';)
            low--;
        name = low ? low - 1 : 0;
        double lower, upper;
        if (name == 0 || !read_bound(item + low, high - 1 - low, -(double)INFINITY, &lower) ||
            !read_bound(item + high, size - high, (double)INFINITY, &upper) || !(lower < upper))
            return leat_fail(s, LEAT_EARG, "--bounds: '%s' is not COLUMN:LOWER:UPPER, such as share:0:1 or price:0:",
                             app_excerpt(item, size, shown));
        int64_t j = find_column(c, item, name);
        if (j < 0)
            return no_column(c, "--bounds", item, name, s);
        c->lower[j] = lower;
        c->upper[j] = upper;
        item += size + (item[size] == ',');
    }
    return LEAT_OK;
}

static bool is_whole(const app_columns *c, int64_t j)
{
    for (int64_t i = 0; i < c->values.rows; i++) {
        double x = c->values.data[i * c->count + j];
        if (x != floor(x) || fabs(x) > 0x1p52)
            return false;
    }
    return true;
}

leat_code app_columns_whole(app_columns *c, const char *list, leat_arena *a, leat_status *s)
{
    if (!list)
        return LEAT_OK;
    c->whole = leat_arena_zalloc(a, (size_t)c->count * sizeof *c->whole);
    if (!c->whole)
        return no_memory(c, s);
    for (int64_t j = 0; strcmp(list, "auto") == 0 && j < c->count; j++)
        c->whole[j] = is_whole(c, j);
    for (const char *item = list; strcmp(list, "auto") != 0 && *item;) {
        size_t size = item_length(item);
        int64_t j = find_column(c, item, size);
        if (j < 0)
            return no_column(c, "--integer", item, size, s);
        c->whole[j] = true;
        item += size + (item[size] == ',');
    }
    return LEAT_OK;
}

/* ---- what is doubtful -------------------------------------------------------------------------------------------- */

static const char *column_text(const app_columns *c, int64_t j, char text[100])
{
    if (c->names)
        snprintf(text, 100, "%lld (%.70s)", (long long)c->places[j], c->names[j]);
    else
        snprintf(text, 100, "%lld", (long long)c->places[j]);
    return text;
}

/* A list of columns as it grows, up to a length. */
typedef struct column_list {
    char text[300];
    size_t used;
    int count;
} column_list;

static void add_column(column_list *l, const app_columns *c, int64_t j)
{
    char text[100];
    size_t left = sizeof l->text - l->used;
    if (left > 110)
        l->used += (size_t)snprintf(l->text + l->used, left, "%s%s", l->count ? ", " : "", column_text(c, j, text));
    else if (left > 6)
        l->used += (size_t)snprintf(l->text + l->used, left, ", ...");
    l->count++;
}

static void tell_of_few_values(const app_columns *c, const leat_column *about, app_say_fn *say, void *user)
{
    column_list list = { .count = 0 };
    char line[LINE];
    bool whole = false;
    for (int64_t j = 0; j < c->count; j++) {
        if (!about[j].discrete || (c->whole && c->whole[j]))
            continue;
        add_column(&list, c, j);
        whole = whole || is_whole(c, j);
    }
    snprintf(
        line, sizeof line,
        "warning: %.200s: a few values fill column%s %s: their density has no bound, and the loss may fall without "
        "meaning%s",
        c->file, list.count > 1 ? "s" : "", list.text, whole ? " (--integer auto is for whole numbers)" : "");
    if (list.count)
        say(user, line);
}

/* Where all values are above 0 and a normal distribution would not be, or all are between 0 and 1. */
static void tell_of_edges(const app_columns *c, const leat_column *about, app_say_fn *say, void *user)
{
    enum { FEW_ROWS = 50 };
    char line[LINE], list[300] = "";
    size_t used = 0;
    int64_t count = 0;
    for (int64_t j = 0; c->values.rows >= FEW_ROWS && j < c->count; j++) {
        bool bounded = c->lower && (isfinite(c->lower[j]) || isfinite(c->upper[j]));
        bool share = about[j].max < 1 && about[j].mean + 2.3 * about[j].sd > 1;
        if (bounded || about[j].discrete || !(about[j].min > 0) || (!share && about[j].mean > 2.3 * about[j].sd))
            continue;
        if (used + 110 < sizeof list) {
            used += (size_t)snprintf(list + used, sizeof list - used, count ? "," : "");
            used += c->names ? (size_t)snprintf(list + used, sizeof list - used, "%.70s", c->names[j])
                             : (size_t)snprintf(list + used, sizeof list - used, "%lld", (long long)c->places[j]);
            used += (size_t)snprintf(list + used, sizeof list - used, ":0:%s", about[j].max < 1 ? "1" : "");
        }
        count++;
    }
    snprintf(line, sizeof line, "note: %.200s: to keep draws where all values are: --bounds '%s'", c->file, list);
    if (count)
        say(user, line);
}

/* Kurtosis of 10 is beyond what exponential tails have, 9; a normal's is 3. Where most columns have 20 or more, a normal base
 * costs up to tens of nats, and where few do Student's t costs more than it gains. */
static void tell_of_tails(app_columns *c, const leat_column *about, app_say_fn *say, void *user)
{
    enum { FEW_ROWS = 100, HEAVY = 10, FAR_HEAVIER = 20 };
    int64_t far_heavier = 0;
    column_list list = { .count = 0 };
    char line[LINE];
    double most = 0;
    for (int64_t j = 0; c->values.rows >= FEW_ROWS && j < c->count; j++) {
        double sum = 0;
        for (int64_t i = 0; i < c->values.rows; i++) {
            double z = (c->values.data[i * c->count + j] - about[j].mean) / about[j].sd;
            sum += z * z * z * z / (double)c->values.rows;
        }
        bool bounded = c->lower && (isfinite(c->lower[j]) || isfinite(c->upper[j]));
        if (bounded || about[j].discrete || !(sum > HEAVY))
            continue;
        add_column(&list, c, j);
        most = sum > most ? sum : most;
        far_heavier += sum >= FAR_HEAVIER;
    }
    c->heavy = c->chooses_base && 2 * far_heavier >= c->count && c->values.rows > FEW_ROWS * c->count;
    snprintf(line, sizeof line,
             "%s: %.200s: the tails of column%s %s are heavier than a normal's (kurtosis%s %.0f, not 3): %s",
             c->heavy ? "note" : "warning", c->file, list.count > 1 ? "s" : "", list.text,
             list.count > 1 ? " up to" : "", most,
             c->heavy ? "the base is student-t, unless --base says otherwise" : "--base student-t takes them");
    if (list.count)
        say(user, line);
}

/* ---- columns that follow from others ----------------------------------------------------------------------------- */

/* The correlations of the first columns over the first rows, [n, n]. */
static void correlate(const app_columns *c, const leat_column *about, int64_t n, double *r)
{
    int64_t rows = c->values.rows < ROWS_CORRELATED ? c->values.rows : ROWS_CORRELATED;
    double z[MOST_CORRELATED], mean[MOST_CORRELATED] = { 0 };
    for (int pass = 0; pass < 2; pass++) { /* the mean of these rows, then their products */
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < n; j++)
                z[j] = (c->values.data[i * c->count + j] - about[j].mean) / about[j].sd - (pass ? mean[j] : 0);
            for (int64_t j = 0; j < n; j++)
                mean[j] += pass ? 0 : z[j] / (double)rows;
            for (int64_t j = 0; pass && j < n; j++)
                for (int64_t k = 0; k <= j; k++)
                    r[j * n + k] += z[j] * z[k] / (double)rows;
        }
    }
}

/* The columns that column j, whose row of the factor L stands in `row`, is made of: L' w = row, backwards. */
static void list_parents(const app_columns *c, const double *l, const int64_t *kept, int64_t count, int64_t n,
                         double *row, column_list *out)
{
    for (int64_t a = count - 1; a >= 0; a--) {
        row[a] /= l[kept[a] * n + a];
        for (int64_t b = 0; b < a; b++)
            row[b] -= row[a] * l[kept[a] * n + b];
    }
    for (int64_t a = 0; a < count; a++)
        if (fabs(row[a]) > 1e-4)
            add_column(out, c, kept[a]);
}

/* Cholesky's factor of the correlations, column by column: one of which nothing is left follows from those before. */
static void tell_of_sums(const app_columns *c, const leat_column *about, double *r, app_say_fn *say, void *user)
{
    int64_t n = c->count < MOST_CORRELATED ? c->count : MOST_CORRELATED, kept[MOST_CORRELATED], count = 0;
    char line[LINE], text[100];
    int told = 0;
    correlate(c, about, n, r);
    for (int64_t j = 0; j < n; j++) {
        double *row = r + j * n, left = row[j], whole = row[j], own[MOST_CORRELATED];
        for (int64_t a = 0; a < count; a++) {
            own[a] = row[kept[a]];
            for (int64_t b = 0; b < a; b++)
                own[a] -= own[b] * r[kept[a] * n + b];
            own[a] /= r[kept[a] * n + a];
            left -= own[a] * own[a];
        }
        if (left > 1e-10 * whole && whole > 0) {
            memcpy(row, own, (size_t)count * sizeof *row);
            row[count] = sqrt(left);
            kept[count++] = j;
            continue;
        }
        column_list parents = { .count = 0 };
        list_parents(c, r, kept, count, n, own, &parents);
        snprintf(line, sizeof line,
                 "warning: %.200s: column %s follows from column%s %s: a density on all of them has no bound, and the "
                 "loss may fall without meaning (--columns leaves one out)",
                 c->file, column_text(c, j, text), parents.count > 1 ? "s" : "", parents.text);
        if (told++ < 5)
            say(user, line);
    }
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* pandas writes the number of each row in front of it, and that column has no name. */
static void tell_of_index(const app_columns *c, app_say_fn *say, void *user)
{
    char line[LINE];
    int64_t i = 0;
    if (!c->names || c->names[0][0] || c->places[0] != 1)
        return;
    while (i < c->values.rows && c->values.data[i * c->count] == (double)i)
        i++;
    snprintf(line, sizeof line,
             "warning: %.200s: column 1 has no name and counts the rows, as an index that pandas writes (--columns 2- "
             "leaves it out)",
             c->file);
    if (i == c->values.rows)
        say(user, line);
}

leat_code app_columns_look(app_columns *c, bool context, app_say_fn *say, void *user, leat_status *s)
{
    char text[100];
    int64_t n = c->count < MOST_CORRELATED ? c->count : MOST_CORRELATED;
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    leat_column *about = leat_arena_alloc(&scratch, (size_t)c->count * sizeof *about);
    double *correlations = leat_arena_zalloc(&scratch, (size_t)(n * n) * sizeof *correlations);
    leat_code code = about && correlations ? leat_table_inspect(&c->values, about, s) : no_memory(c, s);
    for (int64_t j = 0; j < c->count && !code; j++) {
        if (about[j].constant)
            code = leat_fail(s, LEAT_EARG, "%.300s: column %s is constant, and %s", c->file, column_text(c, j, text),
                             context ? "a context of it tells nothing" : "has no density");
    }
    if (!code && say)
        tell_of_index(c, say, user);
    if (!code && say && !context) {
        tell_of_few_values(c, about, say, user);
        tell_of_edges(c, about, say, user);
        if (!c->heavy_base)
            tell_of_tails(c, about, say, user);
        if (c->values.rows > n)
            tell_of_sums(c, about, correlations, say, user);
    }
    leat_arena_free(&scratch);
    return code;
}
