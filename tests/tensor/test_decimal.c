/* Decimal numbers: read to the last bit, printed shortest, in every locale. */
#include "file_helpers.h"
#include "../../tensor/files/decimal.h"

#include <float.h>
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

/* ---- against the C library --------------------------------------------------------------------------------------- */

static uint64_t state = 88172645463325252u;

static uint64_t random_bits(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Reads it all and gives what strtod and strtof give, which round correctly. */
static void check_text(const char *text)
{
    char *end;
    double d = strtod(text, &end), got_d = -1, f = (double)strtof(text, NULL), got_f = -1;
    size_t size = strlen(text);

    cr_assert_eq(*end, 0, "not a number: %s", text);
    cr_assert_eq(leat_decimal_parse(text, size, false, &got_d), size, "%s", text);
    cr_assert_eq(leat_decimal_parse(text, size, true, &got_f), size, "%s", text);
    cr_assert(memcmp(&d, &got_d, sizeof d) == 0, "%s: %a instead of %a", text, got_d, d);
    cr_assert(memcmp(&f, &got_f, sizeof f) == 0, "%s: %a instead of %a as float", text, got_f, f);
}

enum { TEXTS = 800000 };

/* Any number of digits up to 25, any exponent. */
Test(decimal, reads_random_digits_as_the_c_library_does)
{
    for (int i = 0; i < TEXTS; i++) {
        char text[64];
        int count = 1 + (int)(random_bits() % 25), point = (int)(random_bits() % 26), n = 0;
        if (random_bits() % 2)
            text[n++] = random_bits() % 2 ? '-' : '+';
        for (int k = 0; k < count; k++) {
            if (k == point)
                text[n++] = '.';
            text[n++] = (char)('0' + random_bits() % 10);
        }
        if (random_bits() % 3)
            n += sprintf(text + n, "e%d", (int)(random_bits() % 60) - 30);
        else if (random_bits() % 2)
            n += sprintf(text + n, "E%+d", (int)(random_bits() % 720) - 370);
        text[n] = '\0';
        check_text(text);
    }
}

/* Random doubles and floats with 1 to 20 digits: what files hold. */
Test(decimal, reads_printed_numbers_as_the_c_library_does)
{
    for (int i = 0; i < TEXTS; i++) {
        char text[64];
        uint64_t bits = random_bits();
        uint32_t half = (uint32_t)(bits >> 32);
        double x;
        float y;
        memcpy(&x, &bits, sizeof x);
        memcpy(&y, &half, sizeof y);
        if (i % 2)
            x = (double)y;
        if (!isfinite(x))
            continue;
        snprintf(text, sizeof text, "%.*e", (int)(random_bits() % 20), x);
        check_text(text);
        snprintf(text, sizeof text, "%.*g", 1 + (int)(random_bits() % 20), (double)(int64_t)bits * 0x1p-63);
        check_text(text);
    }
}

/* Halfway between two neighbours, exactly, and a little beside; the neighbours are floats or doubles, of ordinary size,
 * where the digits are few, and of any size. */
static void check_halfway(double low, double high)
{
    char text[1200];
    /* one bit more than a double holds: in its binary expansion, halfway is low with a 1 behind */
    long double middle = ((long double)low + (long double)high) / 2;
    int n = snprintf(text, sizeof text, "%.800Le", middle);
    char *e = strchr(text, 'e'), tail[16];

    cr_assert_gt(n, 0);
    strcpy(tail, e);
    while (e[-1] == '0')
        e--;
    strcpy(e, tail);
    check_text(text); /* a tie */
    memmove(e + 1, e, strlen(e) + 1);
    *e = '1';
    check_text(text); /* above it */
    *e = '0';
    e[-1] = (char)(e[-1] - 1);
    *e = '9';
    check_text(text); /* below it: the last digit was not 0 */
}

Test(decimal, rounds_ties_to_even_and_their_neighbours_rightly)
{
    if (LDBL_MANT_DIG <= DBL_MANT_DIG)
        cr_skip_test("long double is no longer than double here");
    for (int i = 0; i < TEXTS / 80; i++) {
        uint64_t bits = random_bits();
        double x = ldexp((double)(1 + bits % 1000000) * 0x1p-10, (int)(random_bits() % 60) - 40), any;
        float f = (float)x, g;

        check_halfway((double)f, (double)nextafterf(f, HUGE_VALF));
        check_halfway(x, nextafter(x, HUGE_VAL));
        memcpy(&any, &bits, sizeof any);
        memcpy(&g, &bits, sizeof g);
        if (isfinite(any) && isfinite(nextafter(any, HUGE_VAL)) && any > 0)
            check_halfway(any, nextafter(any, HUGE_VAL));
        if (isfinite(g) && isfinite(nextafterf(g, HUGE_VALF)) && g > 0)
            check_halfway((double)g, (double)nextafterf(g, HUGE_VALF));
    }
}

/* Decimals of 16 digits whose nearest double is halfway between two floats: rounding that again would be wrong half of
 * the time. */
Test(decimal, floats_are_not_rounded_twice)
{
    int beside = 0;
    for (int i = 0; i < TEXTS; i++) {
        char text[64];
        uint32_t bits = UINT32_C(0x3F000000) + (uint32_t)(random_bits() % 0x08000000);
        float f;
        memcpy(&f, &bits, sizeof f);
        double middle = (double)f + ((double)nextafterf(f, HUGE_VALF) - (double)f) / 2;
        snprintf(text, sizeof text, "%.15e", middle);
        beside += strtod(text, NULL) == middle && strtof(text, NULL) != (float)middle;
        check_text(text);
    }
    cr_assert_gt(beside, 1000);
}

Test(decimal, the_ends_of_the_ranges)
{
    static const char *const texts[] = {
        "340282346638528859811704183484516925440",
        "340282356779733661637539395458142568447.9",
        "340282356779733661637539395458142568448",
        "3.4028236e38",
        "1.17549435082228750796873653722224567781866e-38",
        "1.1754942e-38",
        "1.40129846432481707092372958328991613128e-45",
        "7.0064923216240853546186479164495806564013097093825788587853e-46",
        "7.0064923216240853546186479164495806564013097093825788587854e-46",
        "7e-46",
        "1e-45",
        "1e-310",
        "2.2250738585072012e-308",
        "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709633028641"
        "6"
        "69288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027006985557136695"
        "9"
        "622842914819860834936475292719074168444365510704342711559699508093042880",
        "16777217",
        "16777217.0000000000000000000000000000000001",
        "16777216.9999999999999999999999999999999999",
        "9007199254740993e0",
        "9007199254740992999e-3",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000001e81",
        "00000000000000000000000000001",
        "1e310",
        "1e311",
        "1e-351",
        "1e-352",
        "9999999999999999999e-343",
        "9999999999999999999e-342",
        "18446744073709551615e0",
        "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(texts[i]);
}

Test(decimal, takes_the_number_and_leaves_the_rest)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        { "", 0 },      { "+", 0 },     { "-.", 0 },   { ".", 0 },     { "e5", 0 },  { ".e5", 0 },
        { "x", 0 },     { "--1", 0 },   { " 1", 0 },   { "nan", 0 },   { "1", 1 },   { "1,2", 1 },
        { "1.", 2 },    { ".5", 2 },    { "-.5;", 3 }, { "+1.5e", 4 }, { "1e+", 1 }, { "1e-x", 1 },
        { "1.5E2", 5 }, { "1e5.5", 3 }, { "0x10", 1 }, { "1.2.3", 3 }, { "1 2", 1 }, { "1\n", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = exactly(cases[i].text, strlen(cases[i].text)); /* nothing behind the text is read */
        double x, y;
        cr_assert_eq(leat_decimal_parse(b.data, b.size, false, &x), cases[i].length, "%s", cases[i].text);
        cr_assert_eq(leat_decimal_parse(b.data, b.size, true, &y), cases[i].length, "%s", cases[i].text);
        free(b.data);
    }
}

/* No text of fewer digits reads back, by the C library's own account. */
static void check_shortest(double x, bool single)
{
    char text[LEAT_DECIMAL_TEXT], other[64];
    size_t size = leat_decimal_print_plain(x, single, text);
    int count = 0, most = single ? 9 : 17;

    cr_assert_eq(size, strlen(text));
    cr_assert_lt(size, LEAT_DECIMAL_TEXT);
    cr_assert_eq(single ? (double)strtof(text, NULL) : strtod(text, NULL), x, "%s", text);
    while (++count < most) {
        snprintf(other, sizeof other, "%.*e", count - 1, x);
        if ((single ? (double)strtof(other, NULL) : strtod(other, NULL)) == x)
            break;
    }
    snprintf(other, sizeof other, "%.*e", count - 1, x);
    char mine[64]; /* the printed text brought into the same form */
    snprintf(mine, sizeof mine, "%.*e", count - 1, strtod(text, NULL));
    int digits = 0, zeros = 0;
    bool begun = false;
    for (const char *c = text; *c && *c != 'e'; c++) {
        begun = begun || (*c >= '1' && *c <= '9');
        if (begun && *c >= '0' && *c <= '9') {
            digits++;
            zeros = *c == '0' ? zeros + 1 : 0;
        }
    }
    cr_assert_leq(digits - zeros, count, "%s, but %s", text, other);
    if (!single)
        cr_assert_str_eq(mine, other);
}

Test(decimal, prints_as_few_digits_as_read_back)
{
    for (int i = 0; i < 40000; i++) {
        uint64_t bits = random_bits();
        double x;
        float f;
        memcpy(&x, &bits, sizeof x);
        memcpy(&f, &bits, sizeof f);
        if (isfinite(x) && x != 0)
            check_shortest(x, false);
        if (isfinite(f) && f != 0)
            check_shortest((double)f, true);
        x = (double)(int64_t)random_bits() * 0x1p-63 * pow(10, (double)(random_bits() % 30) - 12);
        check_shortest(x, false);
        check_shortest((double)(float)x, true);
        x = (double)(random_bits() % 100000) / 1000;
        if (x > 0)
            check_shortest(x, false);
    }
    for (int k = -1074; k < 1024; k++)
        check_shortest(ldexp(1, k), false);
    for (int k = -149; k < 128; k++)
        check_shortest(ldexp(1, k), true);
}

Test(decimal, plain_numbers_have_no_needless_point)
{
    static const struct {
        double value;
        bool single;
        const char *text;
    } cases[] = {
        { 0, false, "0" },
        { -0.0, false, "-0" },
        { 1, true, "1" },
        { -1000000, true, "-1000000" },
        { 16777216, true, "16777216" },
        { 2.25, false, "2.25" },
        { 0x1.99999ap-4, true, "0.1" },
        { 0x1.99999ap-4, false, "0.10000000149011612" },
        { 1e16, false, "10000000000000000" },
        { 1e17, false, "1e+17" },
        { 0.00012, false, "0.00012" },
        { 0x1.fffffep127, true, "3.4028235e+38" },
        { 0x1p-149, true, "1e-45" },
        { HUGE_VAL, false, "inf" },
        { -HUGE_VAL, true, "-inf" },
        { (double)NAN, false, "nan" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[LEAT_DECIMAL_TEXT];
        cr_assert_eq(leat_decimal_print_plain(cases[i].value, cases[i].single, text), strlen(cases[i].text));
        cr_assert_str_eq(text, cases[i].text);
    }
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
