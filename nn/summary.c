/* A text about the model: a line for each module, in aligned columns. All is put twice, the first time to measure. */
#include "model.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 4, GAP = 3 };

typedef struct summary {
    char *text; /* NULL while measuring */
    size_t used, size;
    int width[COLUMNS];
    int64_t lines;
    leat_module *module; /* whose parameters are being counted */
    int64_t own;
} summary;

static void count_own(leat_visitor *v, leat_module *owner, leat_param *p)
{
    summary *s = v->user;
    if (owner == s->module)
        s->own += leat_shape_count(&p->leaf.shape);
}

/* "16,512" */
static const char *print_count(int64_t n, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

/* Names to the left, counts to the right. */
static void put_line(summary *s, const char *const cell[COLUMNS])
{
    s->lines++;
    if (!s->text) {
        for (int i = 0; i < COLUMNS; i++) {
            int width = (int)strlen(cell[i]);
            s->width[i] = width > s->width[i] ? width : s->width[i];
        }
        return;
    }
    int n = snprintf(s->text + s->used, s->size - s->used, "%-*s%*s%-*s%*s%-*s%*s%*s", s->width[0], cell[0], GAP, "",
                     s->width[1], cell[1], GAP, "", s->width[2], cell[2], GAP, "", s->width[3], cell[3]);
    s->used += (size_t)n;
    while (s->used && s->text[s->used - 1] == ' ')
        s->used--;
    s->text[s->used++] = '\n';
    s->text[s->used] = '\0';
}

static void put_module(leat_visitor *v, leat_module *m)
{
    summary *s = v->user;
    char path[LEAT_NAME_SIZE], shapes[128] = "", count[32] = "";
    s->module = m;
    s->own = 0;
    leat_visitor counter = { .user = s, .param = count_own };
    leat_visit(&counter, m);
    if (s->own)
        print_count(s->own, count);
    if (m->type->describe)
        m->type->describe(m, shapes, sizeof shapes);
    leat_scope_path(&m->scope, path, sizeof path);
    if (m->parent && !m->scope.name[0])
        return; /* it adds nothing to names, and so is no part that one could name */
    put_line(s, (const char *[]){ path[0] ? path : "(root)", m->type->name, shapes, count });
}

static void put_all(summary *s, leat_model *m)
{
    char count[32];
    leat_visitor v = { .user = s, .enter = put_module };
    leat_visit_model(&v, m);
    put_line(s, (const char *[]){ "total", "", "", print_count(leat_param_count(m), count) });
}

char *leat_summary(leat_model *m, leat_arena *a)
{
    if (!m)
        return NULL;
    summary s = { 0 };
    put_all(&s, m);
    size_t line = 3 * GAP + 2; /* newline and zero byte */
    for (int i = 0; i < COLUMNS; i++)
        line += (size_t)s.width[i];
    s.size = (size_t)s.lines * line;
    s.text = leat_arena_alloc(a, s.size);
    if (s.text)
        put_all(&s, m);
    return s.text;
}
