/* Shapes: counting and its overflows, broadcasting, text; and the sticky status. */
#include <criterion/criterion.h>

#include "../../tensor/tensor.h"

#include <string.h>

Test(shape, counts)
{
    leat_shape scalar = leat_shape_of(0, NULL), matrix = LEAT_SHAPE(3, 5), empty = LEAT_SHAPE(3, 0, 4);
    cr_assert_eq(leat_shape_count(&scalar), 1);
    cr_assert_eq(leat_shape_count(&matrix), 15);
    cr_assert_eq(leat_shape_count(&empty), 0);
}

Test(shape, refuses_what_no_memory_could_hold)
{
    leat_shape negative = LEAT_SHAPE(3, -1), large = LEAT_SHAPE(INT64_MAX / 2, 2), wide = LEAT_SHAPE(1, 1, 1, 1, 1, 1);
    leat_shape negative_and_empty = LEAT_SHAPE(0, -1), large_and_empty = LEAT_SHAPE(3, 0, INT64_MAX);
    leat_shape most = LEAT_SHAPE(PTRDIFF_MAX / (int64_t)sizeof(leat_real));
    leat_shape over = LEAT_SHAPE(PTRDIFF_MAX / (int64_t)sizeof(leat_real) + 1);
    cr_assert_eq(leat_shape_count(&negative), -1);
    cr_assert_eq(leat_shape_count(&negative_and_empty), -1);
    cr_assert_eq(leat_shape_count(&large_and_empty), -1);
    cr_assert_eq(leat_shape_count(&large), -1);
    cr_assert_eq(leat_shape_count(&wide), 1);
    cr_assert_gt(leat_shape_count(&most), 0);
    cr_assert_eq(leat_shape_count(&over), -1);
    wide.rank = LEAT_MAX_RANK + 1;
    cr_assert_eq(leat_shape_count(&wide), -1);
}

static const struct {
    leat_shape a, b, result;
    bool fits;
} broadcasts[] = {
    { { 2, { 3, 4 } }, { 1, { 4 } }, { 2, { 3, 4 } }, true },
    { { 2, { 3, 1 } }, { 2, { 1, 4 } }, { 2, { 3, 4 } }, true },
    { { 0, { 0 } }, { 3, { 2, 3, 4 } }, { 3, { 2, 3, 4 } }, true },
    { { 2, { 0, 4 } }, { 2, { 1, 1 } }, { 2, { 0, 4 } }, true },
    { { 2, { 3, 4 } }, { 1, { 3 } }, { 0, { 0 } }, false },
    { { 1, { 0 } }, { 1, { 2 } }, { 0, { 0 } }, false },
};

Test(shape, broadcasts_as_numpy_does)
{
    for (size_t i = 0; i < sizeof broadcasts / sizeof *broadcasts; i++) {
        leat_shape ab, ba;
        cr_assert_eq(leat_shape_broadcast(&broadcasts[i].a, &broadcasts[i].b, &ab), broadcasts[i].fits);
        cr_assert_eq(leat_shape_broadcast(&broadcasts[i].b, &broadcasts[i].a, &ba), broadcasts[i].fits);
        if (broadcasts[i].fits)
            cr_assert(leat_shape_equal(&ab, &broadcasts[i].result) && leat_shape_equal(&ba, &ab));
    }
}

Test(shape, prints)
{
    char text[LEAT_SHAPE_TEXT];
    leat_shape scalar = leat_shape_of(0, NULL), matrix = LEAT_SHAPE(256, 2);
    leat_shape wide = LEAT_SHAPE(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    cr_assert_str_eq(leat_shape_print(&scalar, text), "[]");
    cr_assert_str_eq(leat_shape_print(&matrix, text), "[256,2]");
    cr_assert_eq(leat_shape_print(&wide, text)[0], '[');
    cr_assert_lt(strlen(text), sizeof text);
}

Test(shape, tensor_new_says_why_not)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_status s = { 0 };
    cr_assert_null(leat_tensor_new(&a, LEAT_SHAPE(INT64_MAX, 4), &s).data);
    cr_assert_eq(s.code, LEAT_ENOMEM);
    cr_assert_str_eq(s.message, "no memory could hold a tensor of shape [9223372036854775807,4]");
    leat_arena_free(&a);
}

Test(status, keeps_the_first_failure)
{
    leat_status s = { 0 };
    cr_assert_eq(leat_fail(&s, LEAT_ESHAPE, "first %d", 1), LEAT_ESHAPE);
    cr_assert_eq(leat_fail(&s, LEAT_EIO, "second"), LEAT_EIO);
    cr_assert_eq(s.code, LEAT_ESHAPE);
    cr_assert_str_eq(s.message, "first 1");
    cr_assert_eq(leat_fail(NULL, LEAT_EARG, "nobody listens"), LEAT_EARG);
}
