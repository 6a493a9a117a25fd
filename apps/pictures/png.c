/*
 * PNG files (ISO/IEC 15948): with a palette when 256 colours suffice, else red, green and blue.
 *
 * Rows are not filtered: in drawings, what repeats are whole stretches of pixels, which filters would hide.
 */
#include "png.h"
#include "../../tensor/files/inflate.h"
#include "deflate.h"
#include "palette.h"

#include <string.h>

static void add_u32(app_text *out, uint32_t value)
{
    app_text_add(
        out, (uint8_t[]){ (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value }, 4);
}

static void add_chunk(app_text *out, const char type[4], const void *bytes, size_t size)
{
    add_u32(out, (uint32_t)size);
    app_text_add(out, type, 4);
    app_text_add(out, bytes, size);
    add_u32(out, leat_crc32(bytes, size, leat_crc32(type, 4, 0)));
}

static void add_header(app_text *out, const app_canvas *c, bool palette)
{
    app_text header = app_text_new(out->arena);
    add_u32(&header, (uint32_t)c->width);
    add_u32(&header, (uint32_t)c->height);
    /* 8 bits a sample; palette or RGB; deflate; filters by row; not interlaced */
    app_text_add(&header, (uint8_t[]){ 8, palette ? 3 : 2, 0, 0, 0 }, 5);
    out->failed = out->failed || header.failed;
    if (!out->failed)
        add_chunk(out, "IHDR", header.bytes, header.size);
}

static void add_pixels(app_text *out, const uint8_t *pixels, size_t row_bytes, size_t rows)
{
    app_text packed = app_text_new(out->arena);
    uint8_t *plain = leat_arena_alloc(out->arena, rows * (row_bytes + 1));
    out->failed = out->failed || !plain;
    for (size_t y = 0; plain && y < rows; y++) {
        plain[y * (row_bytes + 1)] = 0; /* no filter */
        memcpy(plain + y * (row_bytes + 1) + 1, pixels + y * row_bytes, row_bytes);
    }
    if (!out->failed) {
        app_zlib_compress(&packed, plain, rows * (row_bytes + 1));
        out->failed = packed.failed;
    }
    if (!out->failed)
        add_chunk(out, "IDAT", packed.bytes, packed.size);
}

void app_png_encode(app_text *out, const app_canvas *c, app_png_colors colors)
{
    app_palette p;
    size_t width = (size_t)c->width, height = (size_t)c->height;
    if (!app_palette_find(c, colors == APP_PNG_COMPACT, out->arena, &p)) {
        out->failed = true;
        return;
    }
    app_text_add(out, "\x89PNG\r\n\x1A\n", 8);
    add_header(out, c, p.count > 0);
    if (p.count > 0)
        add_chunk(out, "PLTE", p.rgb, 3 * (size_t)p.count);
    add_pixels(out, p.count > 0 ? p.indices : c->rgb, p.count > 0 ? width : 3 * width, height);
    add_chunk(out, "IEND", "", 0);
}
