/*
 * Decompression of DEFLATE (RFC 1951), and of what it stands in: gzip (RFC 1952), zlib (RFC 1950). It streams: compressed
 * bytes are asked for as they are needed, and memory is this struct, some 100 KiB, whatever the data say.
 */
#ifndef LEAT_TENSOR_INFLATE_H
#define LEAT_TENSOR_INFLATE_H

#include "../tensor.h"

#include <sys/types.h>

/* The CRC-32 and Adler-32 of bytes; `before` is 0 and 1, or that of what stands in front of them. */
uint32_t leat_crc32(const void *bytes, size_t size, uint32_t before);
uint32_t leat_adler32(const void *bytes, size_t size, uint32_t before);

/* Lengths and distances of matches: class k begins at base[k] and has extra[k] further bits. */
enum { LEAT_LENGTH_CLASSES = 29, LEAT_DISTANCE_CLASSES = 30 };
extern const uint16_t leat_length_base[LEAT_LENGTH_CLASSES], leat_distance_base[LEAT_DISTANCE_CLASSES];
extern const uint8_t leat_length_extra[LEAT_LENGTH_CLASSES];

typedef enum leat_inflate_format { LEAT_INFLATE_RAW, LEAT_INFLATE_ZLIB, LEAT_INFLATE_GZIP } leat_inflate_format;

/* Gives at most `room` bytes: how many, 0 at the end, -1 after a failure, which errno tells. */
typedef ssize_t leat_inflate_source(void *user, void *out, size_t room);

enum { LEAT_INFLATE_FAST = 10, LEAT_INFLATE_LONGEST = 15 }; /* bits of a code */

/* A prefix code: short words by a look-up, long ones by the number of words of each length (in the order of symbols). */
typedef struct leat_inflate_code {
    uint16_t fast[1 << LEAT_INFLATE_FAST]; /* by the next bits: symbol * 16 + length, 0: a longer word, or none */
    uint16_t count[LEAT_INFLATE_LONGEST + 1];
    uint16_t symbol[288];
} leat_inflate_code;

typedef struct leat_inflate {
    leat_inflate_format format;
    leat_inflate_source *source;
    void *user;
    const char *problem; /* why it failed: a phrase, "is damaged: ..."; NULL with errno: the source did */
    int state;
    bool last_block, ended; /* the block that is read is the last; the source has no more */
    uint64_t bits;          /* not used yet, the next one lowest */
    int bit_count;
    size_t stored;          /* bytes left of a stored block */
    size_t match, distance; /* bytes left of a match */
    uint32_t sum, size;     /* checksum and length of what came out */
    uint64_t made, given;   /* bytes that came out, that were handed on; modulo the window they are places */
    size_t in_at, in_end;   /* of `in` */
    leat_inflate_code literals, distances;
    uint8_t in[16 << 10], window[64 << 10];
} leat_inflate;

void leat_inflate_begin(leat_inflate *z, leat_inflate_format format, leat_inflate_source *source, void *user);

/* The next bytes, at most `room` (above 0): how many, 0 at the end, where checksum and length were right, or -1. A gzip
 * file may consist of several, one behind the other; zeros may follow. */
ssize_t leat_inflate_read(leat_inflate *z, void *out, size_t room);

#endif
