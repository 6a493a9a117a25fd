/* What a file is that was taken for a table, and how readers refuse what is not what it claims to be. */
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct kind {
    const char *magic, *phrase;
    size_t size;
} kinds[] = {
    { "\xFF\xFE\0\0", "it is text in UTF-32, where UTF-8 is needed (iconv -f UTF-32 -t UTF-8)", 4 },
    { "\0\0\xFE\xFF", "it is text in UTF-32, where UTF-8 is needed (iconv -f UTF-32 -t UTF-8)", 4 },
    { "\xFF\xFE", "it is text in UTF-16, where UTF-8 is needed (iconv -f UTF-16 -t UTF-8)", 2 },
    { "\xFE\xFF", "it is text in UTF-16, where UTF-8 is needed (iconv -f UTF-16 -t UTF-8)", 2 },
    { "PK\3\4", "it is a ZIP archive, as .npz, .xlsx and .ods are: one table of it, as .npy or .csv, can be read", 4 },
    { "\xFD"
      "7zXZ",
      "it is compressed with xz, and what gzip compressed can be read", 5 },
    { "\x28\xB5\x2F\xFD", "it is compressed with zstd, and what gzip compressed can be read", 4 },
    { "\x89HDF\r\n", "it is a file of HDF5: one table of it, as .npy or .csv, can be read", 6 },
};

/* Without a byte order mark the zeros of ASCII in wider characters tell. */
static const char *find_wide(const char *b)
{
    static const char *const phrases[] = {
        "it is text in UTF-16, little-endian, where UTF-8 is needed (iconv -f UTF-16LE -t UTF-8)",
        "it is text in UTF-16, big-endian, where UTF-8 is needed (iconv -f UTF-16BE -t UTF-8)",
        "it is text in UTF-32, little-endian, where UTF-8 is needed (iconv -f UTF-32LE -t UTF-8)",
        "it is text in UTF-32, big-endian, where UTF-8 is needed (iconv -f UTF-32BE -t UTF-8)",
    };
    static const bool written[][4] = { { 1, 0, 1, 0 }, { 0, 1, 0, 1 }, { 1, 0, 0, 0 }, { 0, 0, 0, 1 } };
    for (int k = 0; k < 4; k++) {
        bool fits = true;
        for (int i = 0; i < 4; i++)
            fits = fits && (b[i] != 0) == written[k][i];
        if (fits)
            return phrases[k];
    }
    return NULL;
}

const char *leat_file_kind(const char *bytes, size_t size)
{
    /* the length of a header in eight bytes, and JSON */
    if (size >= 9 && bytes[8] == '{' && memcmp(bytes + 5, "\0\0", 3) == 0)
        return "it is a safetensors file, a model, where a table is expected";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= kinds[i].size && memcmp(bytes, kinds[i].magic, kinds[i].size) == 0)
            return kinds[i].phrase;
    return size >= 4 ? find_wide(bytes) : NULL;
}

bool leat_refuse_byte(leat_status *s, const char *source, size_t at, const char *format, ...)
{
    char reason[256];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    leat_fail(s, LEAT_EFORMAT, "%s: byte %zu: %s", source, at, reason);
    return false;
}
