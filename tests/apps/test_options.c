/* The command line: every kind of option, every refusal, the hints, --help and --version. */
#include "../../apps/common/options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <stdio.h>

typedef struct settings {
    int64_t epochs, threads, shift;
    double lr, noise;
    const char *data;
    int model;
    app_sizes hidden;
    bool quiet;
} settings;

static const app_option table[] = {
    { "epochs", APP_INTEGER(settings, epochs), "10", .min = 1, .help = "passes over the data" },
    { "threads", APP_INTEGER(settings, threads), "0", .max = 64, .help = "threads to use" },
    { "shift", APP_INTEGER(settings, shift), "-3", .min = -10, .max = 10 },
    { "lr", APP_POSITIVE(settings, lr), "0.001", .help = "Adam's step size" },
    { "noise", APP_NONNEGATIVE(settings, noise), "0.05", .help = "spread" },
    { "data", APP_STRING(settings, data), NULL, .value = "FILE", .help = "train on this file" },
    { "model", APP_CHOICE(settings, model), "nice", .words = "nice|realnvp|maf", .help = "which flow" },
    { "hidden", APP_SIZES(settings, hidden), "128,64", .help = "widths" },
    { "quiet", APP_FLAG(settings, quiet), .help = "print less" },
};
static const app_program program = { "train", "Trains a flow.", APP_TABLE(table) };
static const app_program with_files = { "leat", "Scores.", APP_TABLE(table), .arguments = "MODEL [FILE...]",
                                        .min_arguments = 1 };
static const app_program with_two = {
    "leat", "Scores.", APP_TABLE(table), .arguments = "MODEL [FILE]", .min_arguments = 1, .max_arguments = 2
};

enum { MOST = 8 };

/* Words end with a NULL. */
static int parse(const app_program *p, const char *const *words, settings *o, app_arguments *rest)
{
    static char copies[MOST + 1][64];
    static char *argv[MOST + 2];
    int argc = 1;

    memset(o, 0xA5, sizeof *o);
    argv[0] = copies[MOST];
    for (; words[argc - 1]; argc++) {
        snprintf(copies[argc - 1], sizeof copies[0], "%s", words[argc - 1]);
        argv[argc] = copies[argc - 1];
    }
    argv[argc] = NULL;
    return app_options_parse(p, argc, argv, o, rest);
}

#define PARSE(p, o, rest, ...) parse(p, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL }, o, rest)

Test(options, defaults)
{
    settings o;
    cr_assert_eq(PARSE(&program, &o, NULL), -1);
    cr_assert_eq(o.epochs, 10);
    cr_assert_eq(o.threads, 0);
    cr_assert_eq(o.shift, -3);
    cr_assert_eq(o.lr, 0.001);
    cr_assert_eq(o.noise, 0.05);
    cr_assert_null(o.data);
    cr_assert_eq(o.model, 0);
    cr_assert_eq(o.hidden.count, 2);
    cr_assert_eq(o.hidden.size[0], 128);
    cr_assert_eq(o.hidden.size[1], 64);
    cr_assert_eq(o.hidden.size[2], 0);
    cr_assert_not(o.quiet);
}

Test(options, values_of_every_kind)
{
    settings o;
    cr_assert_eq(PARSE(&program, &o, NULL, "--epochs", "7", "--lr=1e-2", "--data", "a=b.csv", "--model=maf"), -1);
    cr_assert_eq(o.epochs, 7);
    cr_assert_eq(o.lr, 0.01);
    cr_assert_str_eq(o.data, "a=b.csv");
    cr_assert_eq(o.model, 2);
    cr_assert_eq(PARSE(&program, &o, NULL, "--quiet", "--hidden=5", "--noise", "0", "--shift", "-10", "--data="), -1);
    cr_assert(o.quiet);
    cr_assert_eq(o.hidden.count, 1);
    cr_assert_eq(o.hidden.size[0], 5);
    cr_assert_eq(o.noise, 0);
    cr_assert_eq(o.shift, -10);
    cr_assert_str_eq(o.data, "");
    cr_assert_eq(
        PARSE(&program, &o, NULL, "--hidden", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", "--epochs=1", "--epochs=2"), -1);
    cr_assert_eq(o.hidden.count, 15);
    cr_assert_eq(o.hidden.size[14], 15);
    cr_assert_eq(o.epochs, 2, "the last counts");
}

static const app_option lettered[] = {
    { "count", APP_INTEGER(settings, epochs), "5", .letter = 'n', .help = "how many" },
    { "quiet", APP_FLAG(settings, quiet), .letter = 'q' },
};
static const app_program with_letters = {
    "draw", "Draws.", APP_TABLE(lettered), .arguments = "MODEL", .min_arguments = 1, .max_arguments = 1
};

Test(options, letters)
{
    settings o;
    app_arguments rest;
    cr_assert_eq(PARSE(&with_letters, &o, &rest, "-n", "7", "model", "-q"), -1);
    cr_assert_eq(o.epochs, 7);
    cr_assert(o.quiet);
    cr_assert_eq(rest.count, 1);
    cr_assert_eq(PARSE(&with_letters, &o, &rest, "model", "--count=8"), -1);
    cr_assert_eq(o.epochs, 8);
    cr_redirect_stderr();
    cr_assert_eq(PARSE(&with_letters, &o, &rest, "-n", "x", "model"), 2);
    cr_assert_eq(PARSE(&with_letters, &o, &rest, "-z", "model"), 2);
    cr_assert_eq(PARSE(&with_letters, &o, &rest, "-nq", "model"), 2);
    fflush(stderr);
    cr_assert_stderr_eq_str("draw: --count x: needs a whole number of at least 0 (draw --help lists the options)\n"
                            "draw: unknown option -z (draw --help lists the options)\n"
                            "draw: unknown option -nq (draw --help lists the options)\n");
}

typedef struct refusal {
    const char *words[4];
    const char *message;
} refusal;

#define TAIL  " (train --help lists the options)\n"
#define SIZES "needs whole numbers of at least 1 with commas between them, like 128,128 (15 at most)"
static const refusal refusals[] = {
    { { "--epoch", "3" }, "train: unknown option --epoch, did you mean --epochs?" TAIL },
    { { "--epcohs=3" }, "train: unknown option --epcohs, did you mean --epochs?" TAIL },
    { { "--hiden", "3" }, "train: unknown option --hiden, did you mean --hidden?" TAIL },
    { { "--versoin" }, "train: unknown option --versoin, did you mean --version?" TAIL },
    { { "--rl=1" }, "train: unknown option --rl, did you mean --lr?" TAIL },
    { { "--xyzzy" }, "train: unknown option --xyzzy" TAIL },
    { { "-e", "3" }, "train: unknown option -e" TAIL },
    { { "--=3" }, "train: unknown option --" TAIL },
    { { "--epochs", "0" }, "train: --epochs 0: needs a whole number of at least 1" TAIL },
    { { "--epochs=1.5" }, "train: --epochs 1.5: needs a whole number of at least 1" TAIL },
    { { "--epochs=" }, "train: --epochs \"\": needs a whole number of at least 1" TAIL },
    { { "--epochs" }, "train: --epochs: needs a whole number of at least 1" TAIL },
    { { "--epochs", "--quiet" }, "train: --epochs: needs a whole number of at least 1" TAIL },
    { { "--epochs", "9223372036854775808" },
      "train: --epochs 9223372036854775808: needs a whole number of at least 1" TAIL },
    { { "--epochs", " 3" }, "train: --epochs  3: needs a whole number of at least 1" TAIL },
    { { "--threads", "65" }, "train: --threads 65: needs a whole number from 0 to 64" TAIL },
    { { "--shift", "11" }, "train: --shift 11: needs a whole number from -10 to 10" TAIL },
    { { "--lr", "0" }, "train: --lr 0: needs a number above 0" TAIL },
    { { "--lr", "nan" }, "train: --lr nan: needs a number above 0" TAIL },
    { { "--lr", "1e999" }, "train: --lr 1e999: needs a number above 0" TAIL },
    { { "--lr", "0x10" }, "train: --lr 0x10: needs a number above 0" TAIL },
    { { "--lr", "0.1," }, "train: --lr 0.1,: needs a number above 0" TAIL },
    { { "--noise", "-0.1" }, "train: --noise -0.1: needs a number of at least 0" TAIL },
    { { "--data" }, "train: --data: needs a value: FILE" TAIL },
    { { "--model", "glow" }, "train: --model glow: needs nice, realnvp or maf" TAIL },
    { { "--model", "nice|maf" }, "train: --model nice|maf: needs nice, realnvp or maf" TAIL },
    { { "--model", "nic" }, "train: --model nic: needs nice, realnvp or maf" TAIL },
    { { "--hidden", "128,,2" }, "train: --hidden 128,,2: " SIZES TAIL },
    { { "--hidden", "128,0" }, "train: --hidden 128,0: " SIZES TAIL },
    { { "--hidden", "3," }, "train: --hidden 3,: " SIZES TAIL },
    { { "--hidden", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1" },
      "train: --hidden 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1: " SIZES TAIL },
    { { "--quiet=yes" }, "train: --quiet yes: takes no value" TAIL },
    { { "stray" }, "train: unexpected argument stray" TAIL },
    { { "--quiet", "--", "--lr" }, "train: unexpected argument --lr" TAIL },
    { { "--data", "\x1b[31m" }, NULL }, /* a string may be anything */
    { { "--lr", "\x1b[31m" }, "train: --lr ?[31m: needs a number above 0" TAIL },
};

/* One redirection holds for a test, so all lines are collected and compared at the end. */
Test(options, refusals, .init = cr_redirect_stderr)
{
    static char expected[1 << 14];
    settings o;

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        int exit_code = parse(&program, refusals[i].words, &o, NULL);
        cr_expect_eq(exit_code, refusals[i].message ? 2 : -1, "%s: %d", refusals[i].words[0], exit_code);
        strcat(expected, refusals[i].message ? refusals[i].message : "");
    }
    fflush(stderr);
    cr_assert_stderr_eq_str(expected);
}

Test(options, a_default_is_checked_like_a_value, .init = cr_redirect_stderr)
{
    static const app_option bad[] = { { "epochs", APP_INTEGER(settings, epochs), "0", .min = 1 } };
    static const app_program broken = { "train", "Trains.", APP_TABLE(bad) };
    settings o;
    cr_assert_eq(PARSE(&broken, &o, NULL), 2);
    fflush(stderr);
    cr_assert_stderr_eq_str("train: --epochs 0: needs a whole number of at least 1" TAIL);
}

Test(options, arguments)
{
    settings o;
    app_arguments rest;
    cr_assert_eq(PARSE(&with_files, &o, &rest, "m", "--epochs", "3", "-", "--", "--lr", "x"), -1);
    cr_assert_eq(o.epochs, 3);
    cr_assert_eq(rest.count, 4);
    cr_assert_str_eq(rest.values[0], "m");
    cr_assert_str_eq(rest.values[1], "-");
    cr_assert_str_eq(rest.values[2], "--lr");
    cr_assert_str_eq(rest.values[3], "x");
}

Test(options, too_few_and_too_many_arguments, .init = cr_redirect_stderr)
{
    settings o;
    app_arguments rest;
    cr_assert_eq(PARSE(&with_two, &o, &rest), 2);
    cr_assert_eq(PARSE(&with_two, &o, &rest, "a", "b", "c"), 2);
    cr_assert_eq(PARSE(&with_two, &o, &rest, "a", "b"), -1);
    fflush(stderr);
    cr_assert_stderr_eq_str("leat: needs MODEL [FILE] (leat --help lists the options)\n"
                            "leat: unexpected argument c (leat --help lists the options)\n");
}

Test(options, help, .init = cr_redirect_stdout)
{
    settings o;
    cr_assert_eq(PARSE(&with_two, &o, NULL, "--help"), 0);
    fflush(stdout);
    cr_assert_stdout_eq_str("Usage: leat [options] MODEL [FILE]\n"
                            "\n"
                            "Scores.\n"
                            "\n"
                            "Options:\n"
                            "  --epochs N        passes over the data [10]\n"
                            "  --threads N       threads to use [0]\n"
                            "  --shift N         [-3]\n"
                            "  --lr X            Adam's step size [0.001]\n"
                            "  --noise X         spread [0.05]\n"
                            "  --data FILE       train on this file\n"
                            "  --model WORD      which flow: nice, realnvp or maf [nice]\n"
                            "  --hidden N,N,...  widths [128,64]\n"
                            "  --quiet           print less\n"
                            "  --help            print this and exit\n"
                            "  --version         print the version and exit\n");
}

Test(options, version, .init = cr_redirect_stdout)
{
    settings o;
    cr_assert_eq(PARSE(&program, &o, NULL, "--version"), 0);
    fflush(stdout);
    cr_assert_stdout_eq_str("train (leat) " LEAT_VERSION "\n");
}
