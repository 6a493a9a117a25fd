/* leat/nn: modules in files that describe themselves. Part of nn.h, which includes it. */
#ifndef LEAT_PARTS_H
#define LEAT_PARTS_H

#include "nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A file that describes itself holds a part as its type's name, "relu", if it has no options; a sequential as the list of
 * its children; any other part as an object of its type and what the type's `write` puts there:
 * {"type":"linear","in":1,"out":128}. `read` gets that object back and calls the constructor. A type of your own has
 * both and is told to whoever reads the file:
 *
 *     static void waves_write(const leat_module *m, leat_part_writer *w)
 *     {
 *         leat_part_put_int(w, "in", ((const waves *)m)->in);
 *         leat_part_put_module(w, "net", ((const waves *)m)->net);
 *     }
 *     static leat_module *waves_read(leat_part_reader *r, const leat_json *v)
 *     {
 *         int64_t in = leat_part_size(r, v, "in", 1);
 *         leat_module *net = leat_part_module(r, v, "net");
 *         return net && in > 0 ? waves_of(leat_part_model(r), in, net) : NULL;
 *     }
 *
 * A file is a stranger's word: what it says is checked before memory is taken for it, and NULL is returned with a status.
 */
LEAT_API void leat_part_write_nothing(const leat_module *m, leat_part_writer *w); /* the `write` of a name alone */
LEAT_API void leat_part_put_int(leat_part_writer *w, const char *key, int64_t value);
LEAT_API void leat_part_put_bool(leat_part_writer *w, const char *key, bool value); /* only if true */
LEAT_API void leat_part_put_number(leat_part_writer *w, const char *key, double value);
LEAT_API void leat_part_put_text(leat_part_writer *w, const char *key, const char *value);
LEAT_API void leat_part_put_shape(leat_part_writer *w, const char *key, const leat_shape *shape);
LEAT_API void leat_part_put_module(leat_part_writer *w, const char *key, const leat_module *m);

LEAT_API leat_model *leat_part_model(leat_part_reader *r); /* to build in */
LEAT_API int64_t leat_part_size(leat_part_reader *r, const leat_json *v, const char *key, int64_t low); /* or -1 */
LEAT_API bool leat_part_flag(const leat_json *v, const char *key); /* absent: false */
LEAT_API bool leat_part_number(leat_part_reader *r, const leat_json *v, const char *key, double *number);
LEAT_API bool leat_part_shape(leat_part_reader *r, const leat_json *v, const char *key, leat_shape *shape);
LEAT_API leat_module *leat_part_module(leat_part_reader *r, const leat_json *v, const char *key); /* any layer */
/* NULL, and the status "model.safetensors: layers.3: ..." */
LEAT_API void *leat_part_fail(leat_part_reader *r, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif

#endif
