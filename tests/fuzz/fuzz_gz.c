/* Fuzz entry: decompression gives the same bytes, or the same refusal, however bytes come and go. */
#include "../../tensor/files/inflate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct supply {
    const uint8_t *bytes;
    size_t size, step;
} supply;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static ssize_t give(void *user, void *out, size_t room)
{
    supply *s = user;
    size_t n = s->step < room ? s->step : room;

    n = n < s->size ? n : s->size;
    memcpy(out, s->bytes, n);
    s->bytes += n;
    s->size -= n;
    return (ssize_t)n;
}

enum { MOST = 1 << 20, ROOM = 100000 };

/* The checksum of the first MOST bytes; and how it ended: the problem, or NULL. */
static uint32_t unpack(leat_inflate_format format, const uint8_t *data, size_t size, size_t step, size_t room,
                       const char **problem)
{
    static leat_inflate z;
    static uint8_t out[ROOM];
    supply s = { data, size, step };
    uint32_t crc = 0;
    size_t all = 0;
    ssize_t n;

    leat_inflate_begin(&z, format, give, &s);
    while (all < MOST && (n = leat_inflate_read(&z, out, room < MOST - all ? room : MOST - all)) != 0) {
        if (n < 0) {
            require(z.problem != NULL && leat_inflate_read(&z, out, room) < 0);
            *problem = z.problem;
            return 0; /* how much came before is not told */
        }
        require((size_t)n <= room);
        crc = leat_crc32(out, (size_t)n, crc);
        all += (size_t)n;
    }
    *problem = NULL;
    return crc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = 1 + (size > 0 ? data[size / 2] % 61u : 0);

    for (int format = LEAT_INFLATE_RAW; format <= LEAT_INFLATE_GZIP; format++) {
        const char *problems[2];
        const uint8_t *from = format == LEAT_INFLATE_RAW && size > 10 ? data + 10 : data;
        size_t left = size - (size_t)(from - data);
        uint32_t whole = unpack((leat_inflate_format)format, from, left, left + 1, ROOM, &problems[0]);
        uint32_t parts = unpack((leat_inflate_format)format, from, left, step, 1 + 37 * step, &problems[1]);
        require(whole == parts && problems[0] == problems[1]);
    }
    return 0;
}
