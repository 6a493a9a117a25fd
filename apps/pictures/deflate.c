/*
 * Compression in the zlib format: one block with the fixed Huffman code.
 *
 * Repetitions are found by chains through all earlier places with the same three bytes, newest first. A match is put
 * off by one byte when the next place has a longer one. On plots the fixed code costs some 15 % more than a fitted one,
 * and needs no tables.
 */
#include "deflate.h"

#include "../../tensor/files/inflate.h"

#include <string.h>

enum { WINDOW = 32768, SHORTEST = 3, LONGEST = 258, CHAIN = 256, HASH_BITS = 15 };

/* ---- codes ------------------------------------------------------------------------------------------------------- */

typedef struct bits {
    app_text *out;
    uint32_t pending;
    int count;
} bits;

static void put(bits *b, uint32_t value, int count)
{
    b->pending |= value << b->count;
    b->count += count;
    while (b->count >= 8) {
        uint8_t byte = (uint8_t)b->pending;
        app_text_add(b->out, &byte, 1);
        b->pending >>= 8;
        b->count -= 8;
    }
}

/* Huffman codes stand in the stream with their first bit first. */
static void put_code(bits *b, uint32_t code, int count)
{
    uint32_t reversed = 0;
    for (int i = 0; i < count; i++)
        reversed |= (code >> i & 1u) << (count - 1 - i);
    put(b, reversed, count);
}

/* A literal, the end (256) or the class of a length, in the fixed code of RFC 1951, section 3.2.6. */
static void put_symbol(bits *b, uint32_t symbol)
{
    if (symbol < 144)
        put_code(b, 0x30 + symbol, 8);
    else if (symbol < 256)
        put_code(b, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        put_code(b, symbol - 256, 7);
    else
        put_code(b, 0xC0 + symbol - 280, 8);
}

static void put_match(bits *b, size_t length, size_t distance)
{
    uint32_t l = LEAT_LENGTH_CLASSES - 1, d = LEAT_DISTANCE_CLASSES - 1;
    while (leat_length_base[l] > length)
        l--;
    put_symbol(b, 257 + l);
    put(b, (uint32_t)length - leat_length_base[l], leat_length_extra[l]);
    while (leat_distance_base[d] > distance)
        d--;
    put_code(b, d, 5);
    put(b, (uint32_t)distance - leat_distance_base[d], d < 2 ? 0 : (int)(d / 2 - 1));
}

/* ---- matches ----------------------------------------------------------------------------------------------------- */

/* Places are counted from 1; 0 is none. newest[hash] begins a chain that goes on with older[place % WINDOW]. */
typedef struct finder {
    const uint8_t *bytes;
    size_t size;
    size_t newest[1 << HASH_BITS], older[WINDOW];
} finder;

static void remember(finder *f, size_t at)
{
    if (at + SHORTEST <= f->size) {
        const uint8_t *p = f->bytes + at;
        size_t hash = ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) * 2654435761u >> (32 - HASH_BITS);
        f->older[at % WINDOW] = f->newest[hash];
        f->newest[hash] = at + 1;
    }
}

/* The longest match of what stands at `at`, which was just remembered; 0 when there is none of three bytes or more. */
static size_t find_match(const finder *f, size_t at, size_t *distance)
{
    size_t best = SHORTEST - 1, most = f->size - at < LONGEST ? f->size - at : LONGEST;
    const uint8_t *here = f->bytes + at;
    if (most < SHORTEST)
        return 0;
    size_t place = f->older[at % WINDOW];
    for (int tries = 0; place > 0 && at - (place - 1) < WINDOW && tries < CHAIN && best < most; tries++) {
        const uint8_t *there = f->bytes + place - 1;
        size_t length = 0;
        if (there[best] == here[best])
            while (length < most && there[length] == here[length])
                length++;
        if (length > best) {
            best = length;
            *distance = at - (place - 1);
        }
        place = f->older[(place - 1) % WINDOW];
    }
    return best >= SHORTEST ? best : 0;
}

static void compress(bits *b, finder *f)
{
    size_t length = 0, distance = 0;
    for (size_t at = 0; at < f->size;) {
        size_t next_length, next_distance = 0, step = 1;
        if (length == 0) {
            remember(f, at);
            length = find_match(f, at, &distance);
        }
        if (length == 0) {
            put_symbol(b, f->bytes[at++]);
            continue;
        }
        remember(f, at + 1);
        next_length = at + 1 < f->size ? find_match(f, at + 1, &next_distance) : 0;
        if (next_length > length) {
            put_symbol(b, f->bytes[at++]);
            length = next_length;
            distance = next_distance;
            continue;
        }
        put_match(b, length, distance);
        for (step = 2; step < length; step++)
            remember(f, at + step);
        at += length;
        length = 0;
    }
}

void app_zlib_compress(app_text *out, const uint8_t *bytes, size_t size)
{
    finder *f = leat_arena_zalloc(out->arena, sizeof *f);
    uint32_t sum = leat_adler32(bytes, size, 1);
    bits b = { .out = out };
    if (!f) {
        out->failed = true;
        return;
    }
    f->bytes = bytes;
    f->size = size;
    app_text_add(out, "\x78\x9C", 2); /* deflate, a window of 32 KiB */
    put(&b, 1, 1);                    /* the last block */
    put(&b, 1, 2);                    /* fixed code */
    compress(&b, f);
    put_symbol(&b, 256);
    put(&b, 0, 7); /* to the end of the byte */
    app_text_add(out, (uint8_t[]){ (uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8), (uint8_t)sum }, 4);
}
