/*
 * leat import: a PyTorch state_dict of a NICE or RealNVP, or of a flow of zuko or nflows, becomes a model that describes
 * itself. leat export: the other way, with the PyTorch module that loads it; what cannot go there is refused by name.
 */
#include "../common/options.h"
#include "../common/streams.h"
#include "commands.h"
#include "output.h"

#include "../../tensor/files/json.h"

#include <stdio.h>

typedef struct settings {
    app_trained_opts open;
    const char *out;
    bool python;
} settings;

static const app_option import_table[] = {
    { "out", APP_STRING(settings, out), NULL, .value = "MODEL", .letter = 'o', .help = "the model's file" },
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program import_program = {
    .name = "leat import",
    .summary =
        "Makes a model of a PyTorch state_dict of a NICE or RealNVP, of zuko's MAF, NSF or RealNVP, or of nflows'\n"
        "MAF, RealNVP or NSF (autoregressive or of couplings, with LULinear), saved with safetensors. Widths, depths,\n"
        "dimension and masks are told by names and shapes (layers.0.mask, layers.0.snet.0.weight, ..., or those\n"
        "libraries' own names).",
    APP_TABLE(import_table),
    .arguments = "FILE.safetensors",
    .min_arguments = 1,
    .max_arguments = 1,
};

static const app_option export_table[] = {
    { "out", APP_STRING(settings, out), NULL, .value = "FILE", .letter = 'o',
      .help = "the state_dict, as safetensors" },
    { "python", APP_FLAG(settings, python), .help = "print the PyTorch module that loads it" },
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program export_program = {
    .name = "leat export",
    .summary =
        "Writes the tensors of a NICE or RealNVP for PyTorch, standardization and context included, and the module "
        "that\n"
        "loads them: load_state_dict(safetensors.torch.load_file(FILE), strict=True). --scale-map is for a MODEL that\n"
        "is a state_dict itself.",
    APP_TABLE(export_table),
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
};

static leat_code import_model(app_trained *m, const settings *o)
{
    const char *from = leat_utf8_text(&m->arena, m->path);
    const char *metadata[][2] = { { "leat", LEAT_VERSION }, { "imported", from } };

    if (!from) {
        return leat_fail(&m->status, LEAT_ENOMEM, "%s: out of memory for its name", m->path);
    }
    if (from != m->path) {
        app_say(m->program, "warning: the name %s is not UTF-8, and is taken as Latin-1", m->path);
    }
    return leat_flow_save(m->flow, o->out, 2, metadata, &m->status);
}

static leat_code export_model(app_trained *m, const settings *o)
{
    leat_status why = { 0 };
    char *module = leat_flow_pytorch(m->flow, &m->arena, &why);

    if (module && o->out) {
        leat_flow_save_pytorch(m->flow, o->out, &why);
    }
    if (why.code) {
        return leat_fail(&m->status, why.code, "%.150s: %.300s", m->path, why.message);
    }
    if (o->python) {
        fputs(module, stdout);
    }
    return LEAT_OK;
}

static int convert(const app_program *program, int argc, char **argv,
                   leat_code (*write)(app_trained *, const settings *))
{
    settings o = { 0 };
    app_arguments rest;
    int exit_code = app_options_parse(program, argc, argv, &o, &rest);
    app_trained m;

    if (exit_code >= 0) {
        return exit_code;
    }
    if (!o.out && !o.python) {
        fprintf(stderr, "%s: --out says where it goes (%s --help lists the options)\n", program->name, program->name);
        return 2;
    }
    if (!app_trained_open(&m, program->name, rest.values[0], &o.open) && !app_output_allow(&m, o.out, NULL)) {
        write(&m, &o);
    }
    return app_trained_close(&m);
}

int app_leat_import(int argc, char **argv)
{
    return convert(&import_program, argc, argv, import_model);
}

int app_leat_export(int argc, char **argv)
{
    return convert(&export_program, argc, argv, export_model);
}
