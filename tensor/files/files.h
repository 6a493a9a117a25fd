/* What the readers and writers of files share, and entries that work on bytes in memory for the tests. */
#ifndef LEAT_TENSOR_FILES_H
#define LEAT_TENSOR_FILES_H

#include "convert.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian, and so must be the machine");

typedef struct leat_bytes {
    const void *data;
    size_t size;
} leat_bytes;

/* A file that is written piece by piece and takes the place of `path` at the end, or never. `temporary` is "" as long as
 * the new file has no name. To what is no regular file
 * (a pipe, /dev/stdout) the pieces go as they come. `path` must last as long as this. */
#define LEAT_PATH 4096
typedef struct leat_file_out {
    const char *path;
    int fd;
    bool replaces; /* by way of a temporary file */
    char target[LEAT_PATH], temporary[LEAT_PATH];
} leat_file_out;

leat_code leat_file_begin(leat_file_out *f, const char *path, leat_status *s);
leat_code leat_file_put(leat_file_out *f, const void *bytes, size_t size, leat_status *s);
leat_code leat_file_rewind(leat_file_out *f, leat_status *s); /* what is put next goes over the first bytes */
leat_code leat_file_commit(leat_file_out *f, leat_status *s); /* after a failure there is nothing to cancel */
void leat_file_cancel(leat_file_out *f);

/* leat_file_write for bytes that lie in several places. */
leat_code leat_file_write_parts(const char *path, const leat_bytes *parts, int64_t count, leat_status *s);

/* What a .npy says of its numbers, which begin at byte `begin`. It is read from the first
 * `size` bytes of the file. */
typedef struct leat_npy_header {
    leat_dtype type;
    bool big_endian, fortran_order;
    leat_shape shape;
    size_t begin;
} leat_npy_header;

leat_code leat_npy_parse_header(const char *bytes, size_t size, uint64_t file_size, const char *source,
                                leat_npy_header *out, leat_status *s);

/* The header of little-endian floats of `width` bytes. Its length is the same for any number of rows. */
#define LEAT_NPY_HEADER 512
size_t leat_npy_print_header(const leat_shape *shape, size_t width, char header[LEAT_NPY_HEADER]);

/* The readers behind leat_npy_read and leat_safetensors_read. `source` names the bytes in messages, `scratch` is used
 * and left as it was, and so is `a` after a failure. */
leat_code leat_npy_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                         leat_tensor *out, leat_status *s);
leat_code leat_safetensors_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                                 leat_safetensors *out, leat_status *s);

/* Sets by_name and by_key; false when out of memory. */
bool leat_safetensors_index(leat_safetensors *f, leat_arena *a);
leat_safetensors_entry *leat_safetensors_entry_of(const leat_safetensors *f, const char *name); /* NULL: not there */

/* Refuses a file for what stands at a byte: LEAT_EFORMAT, "source: byte N: reason". Returns false. */
LEAT_PRINTF(4, 5) bool leat_refuse_byte(leat_status *s, const char *source, size_t at, const char *format, ...);

/* A name from a file, made fit for a message: cut after some 80 bytes, with '?' for control characters. */
#define LEAT_NAME_TEXT 96
const char *leat_name_print(const char *name, char text[LEAT_NAME_TEXT]);

#endif
