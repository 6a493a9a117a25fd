/*
 * Private: modules as JSON, for files that describe themselves.
 *
 * A part without options is its type's name, "relu"; a sequential is the list of its children; any other part is an
 * object with its type and what its type's `write` adds: {"type":"linear","in":1,"out":128}. Reading goes through the
 * public constructors, by a table of names. A new type of module is described by a `write` in its leat_module_type and
 * a line in the table of module_json.c.
 */
#ifndef LEAT_PARTS_H
#define LEAT_PARTS_H

#include "nn.h"
#include "../tensor/files/json.h"

typedef struct leat_part_writer {
    leat_json_writer json;
    leat_status status; /* what could not be described */
} leat_part_writer;

/* The part's value. A part whose type has no `write` fails the writer with its path and type. */
void leat_part_write(leat_part_writer *w, const leat_module *m);

/* Records that a part cannot be described, with its place in front. */
void leat_part_refuse(leat_part_writer *w, const leat_module *m, const char *format, ...) LEAT_PRINTF(3, 4);

/* The `write` of types without options. */
void leat_part_write_nothing(const leat_module *m, leat_part_writer *w);

void leat_part_put_int(leat_part_writer *w, const char *key, int64_t value);
void leat_part_put_bool(leat_part_writer *w, const char *key, bool value); /* only if true */
void leat_part_put_number(leat_part_writer *w, const char *key, double value);
void leat_part_put_text(leat_part_writer *w, const char *key, const char *value);

typedef struct leat_part_reader {
    leat_model *model;
    const leat_safetensors *file; /* for parts that take their form from their buffers */
    const char *source;           /* the file's name, for messages */
    char place[64];               /* in the model: "layers.3" */
    leat_status *status;
    /* reads types that nn does not know; NULL, without a status, if neither does this */
    leat_module *(*other)(struct leat_part_reader *r, const leat_json *v, const char *type);
} leat_part_reader;

/* The module, or NULL and a status. */
leat_module *leat_part_read(leat_part_reader *r, const leat_json *v);

/* The name of a part's type; NULL, and a status, if it has none. */
const char *leat_part_type(leat_part_reader *r, const leat_json *v);

/* A size in low .. 2^31, or -1 and a status. */
int64_t leat_part_size(leat_part_reader *r, const leat_json *v, const char *key, int64_t low);
bool leat_part_flag(const leat_json *v, const char *key); /* absent: false */

/* An activation by its name; false, and a status, if it has none. */
bool leat_part_activation(leat_part_reader *r, const leat_json *v, const char *key, leat_activation *f);
const char *leat_activation_name(leat_activation f); /* of its op, "relu"; NULL: there is no such activation */

/* How many numbers the largest tensor of the file has: a bound for what a description may ask for. */
int64_t leat_part_largest(const leat_part_reader *r);

/* NULL and a status: "model.safetensors: layers.3: ..." */
void *leat_part_fail(leat_part_reader *r, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);

#endif
