/*
 * Choosing columns by name and number: "age,3,7-9".
 *
 * The text is a list of items between commas. An item in quotes is a name. Any other is a name if the header has it,
 * else a number, or a range of numbers, with or without a # in front.
 */
#include "table.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

typedef struct item {
    char *text; /* without quotes and the spaces around it */
    bool quoted;
} item;

/* Takes the next item of a list, which it changes; false when there is something behind a closing quote, or none. */
static bool next_item(char **list, item *out)
{
    char *at = *list + strspn(*list, " "), *end;
    out->quoted = *at == '"';
    if (out->quoted) {
        out->text = end = ++at;
        for (; *at && (*at != '"' || at[1] == '"'); at++) {
            at += *at == '"';
            *end++ = *at;
        }
        if (*at != '"')
            return false;
        at += 1 + strspn(at + 1, " ");
        if (*at && *at != ',')
            return false;
    } else {
        out->text = at;
        at += strcspn(at, ",");
        for (end = at; end > out->text && end[-1] == ' ';)
            end--;
    }
    *list = *at ? at + 1 : NULL;
    *end = '\0';
    return true;
}

static leat_code choose(leat_table *t, int64_t column)
{
    if (t->place[column] >= 0)
        return leat_fail(&t->status, LEAT_EARG, "%s: column %lld is chosen twice", t->name, (long long)column + 1);
    t->place[column] = t->columns;
    t->chosen[t->columns++] = column;
    return LEAT_OK;
}

/* The column of that name: -1 when there is none, -2 when there are several. */
static int64_t find_name(leat_table *t, const char *name)
{
    char shown[LEAT_NAME_TEXT];
    int64_t found = -1;
    for (int64_t i = 0; t->file_names && i < t->file_columns; i++) {
        if (strcmp(t->file_names[i], name) != 0)
            continue;
        if (found >= 0) {
            leat_fail(&t->status, LEAT_EARG,
                      "%s: columns %lld and %lld are both called \"%s\": choose by number, as #%lld", t->name,
                      (long long)found + 1, (long long)i + 1, leat_name_print(name, shown), (long long)found + 1);
            return -2;
        }
        found = i;
    }
    return found;
}

/* Digits as a number, at most `most` + 1; the number of digits. */
static size_t read_number(const char *text, int64_t most, int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    *out = 0;
    for (size_t i = 0; i < digits; i++)
        *out = *out > most ? most + 1 : *out * 10 + (text[i] - '0');
    if (*out > most)
        *out = most + 1;
    return digits;
}

/* N, N-M or N-, or with a # in front, which a name of digits may need; false when it is none of them. */
static bool read_range(const leat_table *t, const char *text, int64_t *first, int64_t *last)
{
    text += *text == '#';
    size_t digits = read_number(text, t->file_columns, first);
    *last = *first;
    if (digits > 0 && text[digits] == '-') {
        text += digits + 1;
        *last = t->file_columns;
        digits = *text ? read_number(text, t->file_columns, last) : 0;
        return text[digits] == '\0';
    }
    return digits > 0 && text[digits] == '\0';
}

/* The beginning of the list of names, for a message. */
static const char *list_names(const leat_table *t, char text[256])
{
    size_t size = 0;
    if (!t->file_names)
        return "there is no header with names";
    size = (size_t)snprintf(text, 256, "the columns are");
    for (int64_t i = 0; i < t->file_columns; i++) {
        char shown[LEAT_NAME_TEXT];
        leat_name_print(t->file_names[i], shown);
        if (size + strlen(shown) + 10 > 256) {
            snprintf(text + size, 256 - size, ", ...");
            break;
        }
        const char *quote = strchr(shown, ',') ? "\"" : "";
        size += (size_t)snprintf(text + size, 256 - size, "%s %s%s%s", i ? "," : "", quote, shown, quote);
    }
    return text;
}

static leat_code choose_item(leat_table *t, const item *it)
{
    char shown[LEAT_NAME_TEXT], names[256];
    int64_t first, last, named = find_name(t, it->text);
    if (named == -2)
        return t->status.code;
    if (named >= 0)
        return choose(t, named);
    leat_name_print(it->text, shown);
    if (it->quoted || !read_range(t, it->text, &first, &last))
        return leat_fail(&t->status, LEAT_EARG, "%s: there is no column \"%s\": %s", t->name, shown,
                         list_names(t, names));
    if (first < 1 || last > t->file_columns || first > last)
        return leat_fail(&t->status, LEAT_EARG, "%s: there is no column %s: they are 1 to %lld", t->name, shown,
                         (long long)t->file_columns);
    for (int64_t i = first; i <= last; i++)
        if (choose(t, i - 1))
            return t->status.code;
    return LEAT_OK;
}

static leat_code choose_listed(leat_table *t)
{
    const char *text = leat_utf8_text(&t->arena, t->opts.columns);
    char *list = text ? leat_arena_format(&t->arena, "%s", text) : NULL;
    if (!list)
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for its columns", t->name);
    while (list) {
        item it;
        if (!next_item(&list, &it))
            return leat_fail(&t->status, LEAT_EARG, "%s: the quotes in the list of columns do not match: %.200s",
                             t->name, t->opts.columns);
        if (choose_item(t, &it))
            return t->status.code;
    }
    return LEAT_OK;
}

static leat_code make_lists(leat_table *t)
{
    size_t count = (size_t)t->file_columns;
    t->columns = 0;
    t->chosen = leat_arena_alloc(&t->arena, count * sizeof *t->chosen);
    t->place = leat_arena_alloc(&t->arena, count * sizeof *t->place);
    t->names = t->file_names ? leat_arena_alloc(&t->arena, count * sizeof *t->names) : NULL;
    if (!t->chosen || !t->place || (t->file_names && !t->names))
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for its columns", t->name);
    for (int64_t i = 0; i < t->file_columns; i++)
        t->place[i] = -1;
    return LEAT_OK;
}

static void take_names(leat_table *t)
{
    for (int64_t i = 0; t->names && i < t->columns; i++)
        t->names[i] = t->file_names[t->chosen[i]];
}

leat_code leat_table_choose(leat_table *t)
{
    if (make_lists(t))
        return t->status.code;
    for (int64_t i = 0; !t->opts.columns && i < t->file_columns; i++)
        choose(t, i);
    if (t->opts.columns && choose_listed(t))
        return t->status.code;
    t->opts.columns = NULL; /* the caller's, and not needed any more */
    take_names(t);
    return LEAT_OK;
}

leat_code leat_table_choose_places(leat_table *t, const int64_t *places, int64_t count)
{
    if (make_lists(t))
        return t->status.code;
    for (int64_t i = 0; i < count; i++) {
        if (places[i] < 1 || places[i] > t->file_columns)
            return leat_fail(&t->status, LEAT_EARG, "%s: there is no column %lld: they are 1 to %lld", t->name,
                             (long long)places[i], (long long)t->file_columns);
        if (choose(t, places[i] - 1))
            return t->status.code;
    }
    take_names(t);
    return LEAT_OK;
}
