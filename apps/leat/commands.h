/* The commands of leat. Each gets its own words, the first of which is the command's, and returns the exit code. */
#ifndef APPS_LEAT_COMMANDS_H
#define APPS_LEAT_COMMANDS_H

int app_leat_fit(int argc, char **argv);
int app_leat_score(int argc, char **argv);
int app_leat_sample(int argc, char **argv);
int app_leat_encode(int argc, char **argv);
int app_leat_decode(int argc, char **argv);
int app_leat_inspect(int argc, char **argv);
int app_leat_check(int argc, char **argv);
int app_leat_plot(int argc, char **argv);
int app_leat_import(int argc, char **argv);
int app_leat_export(int argc, char **argv);

/* What most commands ask for, in a struct that begins with app_trained_opts. */
#define APP_TRAINED_OPTIONS(type, field)                                                                               \
    { "threads", APP_INTEGER(type, field.threads), "0", .max = 1024,                                                   \
      .help = "0: the cores this process may use; no result depends on it" },                                          \
        { "tail-bound", APP_POSITIVE(type, field.tail_bound), "1", .help = "of splines in an nflows state_dict" },     \
    {                                                                                                                  \
        "scale-map", APP_CHOICE(type, field.scale), "tanh",                                                            \
            .words = "tanh|learned|none", .help = "how a PyTorch state_dict of RealNVP bounds its log-scales"          \
    }

#endif
