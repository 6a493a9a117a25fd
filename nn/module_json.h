/*
 * Private: modules as JSON, for files that describe themselves; the public half is parts.h.
 *
 * A type is readable because its descriptor has a `read` and stands in the list of its kind: layers in module_json.c,
 * transforms, bases and bijectors in flows/files/flow_json.c, a caller's own in the reader.
 */
#ifndef LEAT_MODULE_JSON_H
#define LEAT_MODULE_JSON_H

#include "nn.h"
#include "../tensor/files/json.h"

struct leat_part_writer {
    leat_json_writer json;
    leat_status status; /* what could not be described */
};

/* The part's value. A part whose type has no `write` fails the writer with its path and type. */
void leat_part_write(leat_part_writer *w, const leat_module *m);

/* Records that a part cannot be described, with its place in front. */
void leat_part_refuse(leat_part_writer *w, const leat_module *m, const char *format, ...) LEAT_PRINTF(3, 4);

struct leat_part_reader {
    leat_model *model;
    const leat_safetensors *file; /* for parts that take their form from their buffers */
    const char *source;           /* the file's name, for messages */
    char place[512];              /* in the model: "layers.3" */
    leat_status *status;
    int64_t largest;                          /* numbers of the file's largest tensor */
    int64_t tensors, room;                    /* of the file, and their numbers, that no part has asked for yet */
    int64_t features;                         /* of the flow, for transforms of files that do not tell their own */
    const void *own;                          /* the caller's parts, for flows */
    const leat_module_type *const *layers[2]; /* beside those of nn; each ends with NULL, or is NULL */
};

/* The module, or NULL and a status. */
leat_module *leat_part_read(leat_part_reader *r, const leat_json *v);

/* The type that a part names, from n lists (each ends with NULL, or is NULL); NULL, and a status, if it is in none.
 * `kind` is for the message. */
const leat_module_type *leat_part_find(leat_part_reader *r, const leat_json *v, const char *kind, int n,
                                       const leat_module_type *const *const *lists);

/* Whether a file's word for a type is that name, whose words it may also separate by blanks, as files once did. */
bool leat_part_is_name(const char *type, const char *name);

/* The name of a part's type; NULL, and a status, if it has none. */
const char *leat_part_type(leat_part_reader *r, const leat_json *v);

/* An activation by its name; false, and a status, if it has none. */
bool leat_part_activation(leat_part_reader *r, const leat_json *v, const char *key, leat_activation *f);
const char *leat_activation_name(leat_activation f); /* of its op, "relu"; NULL: there is no such activation */

/* Sets largest, tensors and room. */
void leat_part_count(leat_part_reader *r);

/* For what is memory before the file's names and shapes are compared with the model's: whether the file can hold tensors
 * of that shape beside those that were asked for before, or else a status. */
bool leat_part_holds(leat_part_reader *r, leat_shape shape);

#endif
