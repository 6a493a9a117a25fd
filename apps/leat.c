/* leat: one program for trained flows. Every command is a file in leat/. */
#include "common/streams.h"
#include "leat/commands.h"

#include <string.h>

typedef struct command {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    { "fit", "DATA -o MODEL", "fits a flow to a table", app_leat_fit },
    { "score", "MODEL DATA", "log-likelihood of every row", app_leat_score },
    { "sample", "MODEL -n N", "draws new rows", app_leat_sample },
    { "encode", "MODEL DATA", "rows to latents", app_leat_encode },
    { "decode", "MODEL LATENTS", "latents to rows", app_leat_decode },
    { "inspect", "MODEL", "architecture, parameters, how it was trained", app_leat_inspect },
    { "check", "MODEL [DATA]", "is it a flow: round trips, log-determinants", app_leat_check },
    { "plot", "MODEL [DATA] --out FILE", "density, samples, how the latent space bends", app_leat_plot },
    { "import", "FILE.safetensors --out MODEL", "a PyTorch state_dict becomes a model", app_leat_import },
    { "export", "MODEL --out FILE.safetensors", "a model becomes a PyTorch state_dict", app_leat_export },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *f)
{
    fputs(
        "Usage: leat COMMAND ...\n\nNormalizing flows over tables of numbers (.csv or .npy; \"-\" is standard input or "
        "output).\n\nCommands:\n",
        f);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-7s %-29s  %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fputs("\nleat COMMAND --help lists the options of a command.\n", f);
}

static const command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

/* Without a command. */
static int run_plain(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        printf("leat %s\n", LEAT_VERSION);
        return 0;
    }
    if (*name)
        fprintf(stderr, "leat: there is no command '%.40s' (leat --help lists them)\n", name);
    else
        print_help(stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const command *c = find(name);
    char program[20] = "leat";
    app_begin();
    if (!c)
        return app_end(program, run_plain(name));
    snprintf(program, sizeof program, "leat %s", c->name);
    return app_end(program, c->run(argc - 1, argv + 1));
}
