/*
 * Decompression of DEFLATE.
 *
 * What comes out goes into a window of twice the longest distance; as soon as half of it is new it is handed on, so a
 * match always finds what it copies.
 */
#include "inflate.h"

#include <string.h>

enum { WINDOW = 64 << 10, HALF = WINDOW / 2 };
enum { MEMBER, BLOCK, STORED, CODED, TRAILER, DONE, FAILED };

const uint16_t leat_length_base[] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
const uint8_t leat_length_extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                      2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
const uint16_t leat_distance_base[] = { 1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                        33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                        1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577 };

/* ---- checksums --------------------------------------------------------------------------------------------------- */

/* Four bits at a time: the entry is what they become when the polynomial is taken out of them. */
uint32_t leat_crc32(const void *bytes, size_t size, uint32_t before)
{
    static const uint32_t table[16] = { 0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C };
    const uint8_t *p = bytes;
    uint32_t crc = ~before;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

uint32_t leat_adler32(const void *bytes, size_t size, uint32_t before)
{
    const uint8_t *p = bytes;
    uint32_t a = before & 0xFFFF, b = before >> 16;
    for (size_t i = 0; i < size; i++) {
        a = (a + p[i]) % 65521u;
        b = (b + a) % 65521u;
    }
    return b << 16 | a;
}

/* ---- bits -------------------------------------------------------------------------------------------------------- */

static bool fail(leat_inflate *z, const char *problem)
{
    if (z->state != FAILED)
        z->problem = problem;
    z->state = FAILED;
    return false;
}

/* Makes at least `count` (at most 32) bits ready, if the source has them. */
static void fill(leat_inflate *z, int count)
{
    while (z->bit_count < count && !z->ended) {
        if (z->in_at == z->in_end) {
            ssize_t n = z->source(z->user, z->in, sizeof z->in);
            if (n < 0)
                fail(z, NULL);
            z->ended = n <= 0;
            z->in_at = 0;
            z->in_end = n > 0 ? (size_t)n : 0;
            continue;
        }
        z->bits |= (uint64_t)z->in[z->in_at++] << z->bit_count;
        z->bit_count += 8;
    }
}

static bool drop(leat_inflate *z, int count)
{
    if (count > z->bit_count)
        return fail(z, "is cut off");
    z->bits >>= count;
    z->bit_count -= count;
    return true;
}

/* The next `count` bits, at most 32. */
static bool take(leat_inflate *z, int count, uint32_t *out)
{
    fill(z, count);
    *out = (uint32_t)(z->bits & (((uint64_t)1 << count) - 1));
    return drop(z, count);
}

/* ---- codes ------------------------------------------------------------------------------------------------------- */

/* Words of equal length are consecutive numbers in the order of their symbols, and those of the next length go on behind
 * them (RFC 1951, 3.2.2). They stand in the stream with their first bit first. */
static bool make_code(leat_inflate *z, leat_inflate_code *c, const uint8_t *length, int symbols)
{
    uint16_t at[LEAT_INFLATE_LONGEST + 2] = { 0 };
    int left = 1, words = 0;
    uint32_t word = 0;
    memset(c->count, 0, sizeof c->count);
    memset(c->fast, 0, sizeof c->fast);
    for (int i = 0; i < symbols; i++)
        c->count[length[i]]++;
    c->count[0] = 0;
    for (int n = 1; n <= LEAT_INFLATE_LONGEST; n++) {
        left = 2 * left - c->count[n];
        words += c->count[n];
        at[n + 1] = (uint16_t)words;
        if (left < 0)
            return fail(z, "is damaged: a code has too many words");
    }
    if (left > 0 && !(words == 0 || (words == 1 && c->count[1] == 1)))
        return fail(z, "is damaged: a code has too few words");
    for (int i = 0; i < symbols; i++)
        if (length[i])
            c->symbol[at[length[i]]++] = (uint16_t)i;
    for (int n = 1, k = 0; n <= LEAT_INFLATE_FAST; n++, word <<= 1)
        for (int i = 0; i < c->count[n]; i++, word++, k++) {
            uint32_t reversed = 0;
            for (int b = 0; b < n; b++)
                reversed |= (word >> b & 1u) << (n - 1 - b);
            for (uint32_t bits = reversed; bits < 1u << LEAT_INFLATE_FAST; bits += 1u << n)
                c->fast[bits] = (uint16_t)(c->symbol[k] << 4 | n);
        }
    return true;
}

/* The symbol of the next word, or -1. */
static inline int read_symbol(leat_inflate *z, const leat_inflate_code *c)
{
    fill(z, LEAT_INFLATE_LONGEST);
    uint16_t found = c->fast[z->bits & ((1u << LEAT_INFLATE_FAST) - 1)];
    if (found)
        return drop(z, found & 15) ? found >> 4 : -1;
    for (int n = 1, word = 0, first = 0, k = 0; n <= LEAT_INFLATE_LONGEST; n++) {
        word |= (int)(z->bits >> (n - 1) & 1);
        if (word - first < c->count[n])
            return drop(z, n) ? c->symbol[k + word - first] : -1;
        k += c->count[n];
        first = (first + c->count[n]) * 2;
        word *= 2;
    }
    fail(z, z->ended && z->bit_count < LEAT_INFLATE_LONGEST ? "is cut off" : "is damaged: a word is of no code");
    return -1;
}

static bool make_fixed_codes(leat_inflate *z)
{
    uint8_t length[288];
    memset(length, 8, 144);
    memset(length + 144, 9, 256 - 144);
    memset(length + 256, 7, 280 - 256);
    memset(length + 280, 8, 288 - 280);
    if (!make_code(z, &z->literals, length, 288))
        return false;
    memset(length, 5, 32);
    return make_code(z, &z->distances, length, 32);
}

/* The lengths of both codes are in a code themselves, with words for runs (3.2.7). */
static bool read_codes(leat_inflate *z)
{
    static const uint8_t order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
    uint8_t length[288 + 32] = { 0 };
    uint32_t literals, distances, count, x;
    if (!take(z, 5, &literals) || !take(z, 5, &distances) || !take(z, 4, &count))
        return false;
    literals += 257;
    distances += 1;
    if (literals > 286 || distances > 30)
        return fail(z, "is damaged: a code has too many words");
    for (uint32_t i = 0; i < count + 4; i++) {
        if (!take(z, 3, &x))
            return false;
        length[order[i]] = (uint8_t)x;
    }
    if (!make_code(z, &z->literals, length, 19))
        return false;
    memset(length, 0, 19);
    for (uint32_t i = 0; i < literals + distances;) {
        int symbol = read_symbol(z, &z->literals);
        uint32_t run = 1;
        if (symbol < 0)
            return false;
        if (symbol > 15 && !take(z, symbol == 16 ? 2 : symbol == 17 ? 3 : 7, &run))
            return false;
        run += symbol < 16 ? 0 : symbol < 18 ? 3 : 11;
        if ((symbol == 16 && i == 0) || run > literals + distances - i)
            return fail(z, "is damaged: the lengths of a code make no sense");
        memset(length + i, symbol == 16 ? length[i - 1] : symbol < 16 ? symbol : 0, run);
        i += run;
    }
    if (length[256] == 0)
        return fail(z, "is damaged: a block has no end");
    return make_code(z, &z->literals, length, (int)literals) &&
           make_code(z, &z->distances, length + literals, (int)distances);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static bool begin_block(leat_inflate *z)
{
    uint32_t x, length, check;
    if (!take(z, 3, &x))
        return false;
    z->last_block = x & 1;
    switch (x >> 1) {
    case 0:
        drop(z, z->bit_count & 7);
        if (!take(z, 16, &length) || !take(z, 16, &check))
            return false;
        if ((length ^ check) != 0xFFFF)
            return fail(z, "is damaged: the length of a block is wrong");
        z->stored = length;
        z->state = STORED;
        return true;
    case 1:
        z->state = CODED;
        return make_fixed_codes(z);
    case 2:
        z->state = CODED;
        return read_codes(z);
    default:
        return fail(z, "is damaged: a block is of no kind");
    }
}

static void put(leat_inflate *z, uint8_t byte)
{
    z->window[z->made++ % WINDOW] = byte;
}

static bool is_full(const leat_inflate *z)
{
    return z->made - z->given >= HALF;
}

static void end_block(leat_inflate *z)
{
    z->state = z->last_block ? TRAILER : BLOCK;
}

static bool read_stored(leat_inflate *z)
{
    for (; z->stored > 0 && !is_full(z); z->stored--) {
        uint32_t byte;
        if (!take(z, 8, &byte))
            return false;
        put(z, (uint8_t)byte);
    }
    if (z->stored == 0)
        end_block(z);
    return true;
}

static bool begin_match(leat_inflate *z, int symbol)
{
    uint32_t x;
    int k = symbol - 257;
    if (k >= LEAT_LENGTH_CLASSES)
        return fail(z, "is damaged: a length is of no kind");
    if (!take(z, leat_length_extra[k], &x))
        return false;
    z->match = leat_length_base[k] + x;
    k = read_symbol(z, &z->distances);
    if (k >= LEAT_DISTANCE_CLASSES)
        return fail(z, "is damaged: a distance is of no kind");
    if (k < 0 || !take(z, k < 2 ? 0 : k / 2 - 1, &x))
        return false;
    z->distance = leat_distance_base[k] + x;
    return z->distance <= z->made ? true : fail(z, "is damaged: a distance reaches in front of the data");
}

static bool read_coded(leat_inflate *z)
{
    while (!is_full(z)) {
        if (z->match > 0) {
            for (; z->match > 0 && !is_full(z); z->match--)
                put(z, z->window[(z->made - z->distance) % WINDOW]);
            continue;
        }
        int symbol = read_symbol(z, &z->literals);
        if (symbol < 0)
            return false;
        if (symbol == 256) {
            end_block(z);
            return true;
        }
        if (symbol < 256)
            put(z, (uint8_t)symbol);
        else if (!begin_match(z, symbol))
            return false;
    }
    return true;
}

/* ---- around them ------------------------------------------------------------------------------------------------- */

static bool pass_text(leat_inflate *z)
{
    uint32_t byte;
    do
        if (!take(z, 8, &byte))
            return false;
    while (byte);
    return true;
}

static bool read_gzip_header(leat_inflate *z)
{
    enum { CRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16, RESERVED = 224 };
    uint32_t magic, x, size, flags;
    if (!take(z, 32, &magic) || !take(z, 32, &x) || !take(z, 16, &x))
        return false;
    flags = magic >> 24;
    if ((magic & 0xFFFFFF) != 0x088B1F || flags & RESERVED)
        return fail(z, "is no gzip that is known here");
    if (flags & EXTRA) {
        if (!take(z, 16, &size))
            return false;
        for (; size > 0; size--)
            if (!take(z, 8, &x))
                return false;
    }
    if ((flags & NAME && !pass_text(z)) || (flags & COMMENT && !pass_text(z)))
        return false;
    return flags & CRC ? take(z, 16, &x) : true;
}

static bool begin_member(leat_inflate *z)
{
    uint32_t x;
    z->sum = z->format == LEAT_INFLATE_ZLIB;
    z->size = 0;
    z->made = z->given = 0;
    z->state = BLOCK;
    if (z->format == LEAT_INFLATE_GZIP)
        return read_gzip_header(z);
    if (z->format == LEAT_INFLATE_RAW)
        return true;
    if (!take(z, 16, &x))
        return false;
    bool known = (x & 15) == 8 && (x >> 4 & 15) <= 7 && ((x & 255) << 8 | x >> 8) % 31 == 0 && !(x >> 8 & 32);
    return known || fail(z, "is no zlib that is known here");
}

/* Zeros may follow, or another member. */
static bool look_behind(leat_inflate *z)
{
    uint32_t x;
    for (z->state = DONE; z->state == DONE; drop(z, 8)) {
        fill(z, 8);
        if (z->bit_count == 0)
            return z->state == DONE;
        if ((z->bits & 255) != 0)
            break;
    }
    fill(z, 16);
    x = (uint32_t)(z->bits & 0xFFFF);
    if (x != 0x8B1F)
        return fail(z, "is followed by what is no gzip");
    z->state = MEMBER;
    return true;
}

static bool end_member(leat_inflate *z)
{
    uint32_t sum, size = z->size;
    drop(z, z->bit_count & 7);
    z->state = DONE;
    if (z->format == LEAT_INFLATE_RAW)
        return true;
    if (!take(z, 32, &sum) || (z->format == LEAT_INFLATE_GZIP && !take(z, 32, &size)))
        return false;
    if (z->format == LEAT_INFLATE_ZLIB)
        sum = __builtin_bswap32(sum);
    if (sum != z->sum || size != z->size)
        return fail(z, "is damaged: its checksum is wrong");
    return z->format == LEAT_INFLATE_GZIP ? look_behind(z) : true;
}

static bool step(leat_inflate *z)
{
    switch (z->state) {
    case MEMBER:
        return begin_member(z);
    case BLOCK:
        return begin_block(z);
    case STORED:
        return read_stored(z);
    case CODED:
        return read_coded(z);
    default:
        return end_member(z);
    }
}

void leat_inflate_begin(leat_inflate *z, leat_inflate_format format, leat_inflate_source *source, void *user)
{
    memset(z, 0, offsetof(leat_inflate, in));
    z->format = format;
    z->source = source;
    z->user = user;
    z->state = MEMBER;
}

/* A member's bytes are handed on before its trailer is read, so that they are in the checksum. */
ssize_t leat_inflate_read(leat_inflate *z, void *out, size_t room)
{
    while (z->state < DONE && !is_full(z) && (z->state != TRAILER || z->made == z->given))
        if (!step(z))
            break;
    if (z->state == FAILED)
        return -1;
    size_t from = z->given % WINDOW, n = (size_t)(z->made - z->given);
    n = n < WINDOW - from ? n : WINDOW - from;
    n = n < room ? n : room;
    memcpy(out, z->window + from, n);
    z->sum = (z->format == LEAT_INFLATE_ZLIB ? leat_adler32 : leat_crc32)(z->window + from, n, z->sum);
    z->size += (uint32_t)n;
    z->given += n;
    return (ssize_t)n;
}
