/* Decimal numbers: read to the last bit, printed shortest, in every locale. */
#include "file_helpers.h"
#include "../../tensor/decimal.h"

#include <locale.h>
#include <math.h>

/* Texts near and at halfway between two doubles, and at the ends of their range. */
static const struct {
    const char *text;
    double value;
} numbers[] = {
    { "0.1", 0.1 },
    { "-0.0", -0.0 },
    { "0e5", 0.0 },
    { "0.000e-99999999999999999999", 0.0 },
    { "123456789012345678901234567890", 123456789012345678901234567890.0 },
    { "1.7976931348623157e308", 0x1.fffffffffffffp1023 },
    { "1.7976931348623158e+308", 0x1.fffffffffffffp1023 },
    { "4.9e-324", 0x1p-1074 },
    { "2.4703282292062328e-324", 0x1p-1074 },
    { "2.4703282292062327e-324", 0.0 },
    { "1e-400", 0.0 },
    { "2.2250738585072011e-308", 0x0.fffffffffffffp-1022 },
    { "2.2250738585072014E-308", 0x1p-1022 },
    { "9007199254740993", 0x1p53 },
    { "9007199254740993.0000000000000000000000000000000000000001", 0x1.0000000000001p53 },
    { "1.00000000000000011102230246251565404236316680908203125", 1.0 },
    { "1.00000000000000011102230246251565404236316680908203124", 1.0 },
    { "1.00000000000000011102230246251565404236316680908203126", 0x1.0000000000001p0 },
    { "0.00000000000000000000000000000000000000001e41", 1.0 },
    { "100000000000000000000000000000000000000000e-41", 1.0 },
};

static void check_numbers(void)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double got = leat_decimal_read(numbers[i].text, strlen(numbers[i].text));
        cr_assert_eq(memcmp(&got, &numbers[i].value, sizeof got), 0, "%s: %a", numbers[i].text, got);
    }
}

Test(decimal, numbers_to_the_last_bit)
{
    check_numbers();
}

/* 1 + 2^-53, halfway between two doubles, with zeros behind it as far as the digits kept and then something. */
Test(decimal, numbers_of_many_digits)
{
    static const char tie[] = "1.00000000000000011102230246251565404236316680908203125";
    char text[3000];
    for (size_t zeros = 0; zeros < 2500; zeros += 7) {
        size_t n = sizeof tie - 1;
        memcpy(text, tie, n);
        memset(text + n, '0', zeros);
        cr_assert_eq(leat_decimal_read(text, n + zeros), 1.0);
        text[n + zeros] = '1';
        cr_assert_eq(leat_decimal_read(text, n + zeros + 1), 0x1.0000000000001p0, "%zu zeros", zeros);
    }
    memset(text, '9', sizeof text);
    cr_assert(isinf(leat_decimal_read(text, sizeof text)));
    memcpy(text, "0.", 2);
    memset(text + 2, '0', sizeof text - 2);
    memcpy(text + sizeof text - 7, "15e2993", 7);
    cr_assert_eq(leat_decimal_read(text, sizeof text), 15.0);
}

Test(decimal, shortest_decimals)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 1.0, "1.0" },
        { -2.5, "-2.5" },
        { 0.1, "0.1" },
        { 1.0 / 3, "0.3333333333333333" },
        { 0x1p-1074, "5e-324" },
        { 0x1.fffffffffffffp1023, "1.7976931348623157e+308" },
        { 1e-5, "0.00001" },
        { 1.5e-6, "1.5e-06" },
        { 1e16, "10000000000000000.0" },
        { 1e17, "1e+17" },
        { 123456789012345680.0, "1.2345678901234568e+17" },
        { 12345678901234568.0, "12345678901234568.0" },
        { -123.0, "-123.0" },
        { -1.2345678901234568e-300, "-1.2345678901234568e-300" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[LEAT_DECIMAL_TEXT];
        cr_assert_eq(leat_decimal_print(cases[i].value, text), strlen(text));
        cr_assert_str_eq(text, cases[i].text);
    }
}

static void check_decimal_round_trip(void)
{
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        char text[LEAT_DECIMAL_TEXT];
        double x, y;
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        y = leat_decimal_read(text, leat_decimal_print(x, text));
        cr_assert_eq(memcmp(&x, &y, sizeof x), 0, "%a %s", x, text);
        cr_assert(strchr(text, ',') == NULL);
    }
}

Test(decimal, decimals_read_back_the_same)
{
    check_decimal_round_trip();
}

/* Locales differ from machine to machine: any with another decimal point will do. */
Test(decimal, numbers_do_not_care_about_the_locale)
{
    static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR", "nl_NL.UTF-8", "es_ES.UTF-8" };
    size_t i = 0;
    while (i < sizeof names / sizeof *names && !setlocale(LC_ALL, names[i]))
        i++;
    if (i == sizeof names / sizeof *names)
        cr_skip_test("no locale with another decimal point is installed");
    cr_assert_neq(localeconv()->decimal_point[0], '.');
    check_numbers();
    check_decimal_round_trip();
}
