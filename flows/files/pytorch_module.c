/*
 * PyTorch's half of a flow: its tensors as a state_dict, and the module of a few lines that loads them strictly and means
 * by them what leat does. It is written for the flow at hand, from its description, while that is checked: couplings of
 * one kind with ReLU nets, a standard normal base, and a standardizer if there is one.
 */
#include "flow_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the text ---------------------------------------------------------------------------------------------------- */

static const char usage[] = "\"\"\"%s of %lld couplings, as `leat export` writes it.\n"
                            "\n"
                            "    flow = Flow()\n"
                            "    flow.load_state_dict(safetensors.torch.load_file(\"FILE.safetensors\"), strict=True)\n"
                            "    flow.log_prob(x%s)    # [rows], natural logarithms in the units of x [rows, %lld]\n"
                            "    flow.sample(%s\n"
                            "\"\"\"\n"
                            "import math\n"
                            "\n"
                            "import torch\n"
                            "from torch import nn\n"
                            "\n"
                            "\n"
                            "def mlp(*widths, last=()):\n"
                            "    parts = []\n"
                            "    for a, b in zip(widths, widths[1:]):\n"
                            "        parts += [nn.Linear(a, b), nn.ReLU()]\n"
                            "    return nn.Sequential(*parts[:-1], *last)\n";

static const char standardize_class[] =
    "\n\n"
    "class Standardize(nn.Module):\n"
    "    def __init__(self, dim):\n"
    "        super().__init__()\n"
    "        self.register_buffer(\"mean\", torch.zeros(dim, dtype=torch.float64))\n"
    "        self.register_buffer(\"sd\", torch.ones(dim, dtype=torch.float64))\n"
    "\n"
    "    def forward(self, x, like):\n"
    "        return ((x.double() - self.mean) / self.sd).to(like)\n";

static const char scale_class[] =
    "\n\n"
    "class Scale(nn.Module):\n"
    "    \"\"\"Closes log-scales, the first columns; what is behind them, shifts, stays.\"\"\"\n"
    "\n"
    "    def __init__(self, columns, learned):\n"
    "        super().__init__()\n"
    "        self.columns = columns\n"
    "        self.scale = nn.Parameter(torch.ones(columns)) if learned else 1\n"
    "\n"
    "    def forward(self, x):\n"
    "        return torch.cat([self.scale * torch.tanh(x[:, :self.columns]), x[:, self.columns:]], 1)\n";

static const char coupling_class[] =
    "\n\n"
    "class Coupling(nn.Module):\n"
    "    \"\"\"y = x exp(s) + t where the mask is 0; s and t are told by where it is 1, and by a context.\"\"\"\n"
    "\n"
    "    def __init__(self, dim, **nets):\n"
    "        super().__init__()\n"
    "        self.register_buffer(\"mask\", torch.zeros(dim))\n"
    "        for name, net in nets.items():\n"
    "            self.add_module(name, net)\n"
    "\n"
    "    def forward(self, x, context, inverse=False):\n"
    "        moved = self.mask == 0\n"
    "        seen = torch.cat([x[:, ~moved], *context], 1)\n"
    "        %s\n"
    "        y = x.clone()\n"
    "        y[:, moved] = (x[:, moved] - t) * torch.exp(-s) if inverse else x[:, moved] * torch.exp(s) + t\n"
    "        return y, s.sum(1)\n";

static const char flow_class[] = "\n\n"
                                 "class Flow(nn.Module):\n"
                                 "    def __init__(self):\n"
                                 "        super().__init__()\n";

static const char log_prob[] = "        ])\n"
                               "\n"
                               "    def log_prob(self, x%s):\n"
                               "        z = %s\n"
                               "        logdet = %s\n"
                               "        for layer in self.layers:\n"
                               "            z, step = layer(z, [%s])\n"
                               "            logdet = logdet + step\n"
                               "        return logdet - (z.square() + math.log(2 * math.pi)).sum(1) / 2\n";

static const char sample[] = "\n"
                             "    @torch.no_grad()\n"
                             "    def sample(self, %s):\n"
                             "        z = torch.randn(%s, %lld).to(self.layers[0].mask)\n"
                             "        for layer in reversed(self.layers):\n"
                             "            z, _ = layer(z, [%s], inverse=True)\n"
                             "        return %s\n";

/* ---- writing it while the description is checked ----------------------------------------------------------------- */

typedef enum form { ADDITIVE, ONE_NET, TWO_NETS } form;

typedef struct writer {
    leat_status *status;
    char *at; /* where the text ends, and how much is left behind it */
    size_t left;
    int layer;
    form form;
    leat_scale_map scale; /* of all layers, from the first on */
    bool standardized, bounded;
    int64_t dim, context, layers;
} writer;

static bool refuse(writer *w, const char *format, ...) LEAT_PRINTF(2, 3);
static bool put(writer *w, const char *format, ...) LEAT_PRINTF(2, 3);

static bool refuse(writer *w, const char *format, ...)
{
    char reason[200];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    leat_fail(w->status, LEAT_EARG,
              "%s; PyTorch is given couplings of one kind with ReLU nets, over a standard normal base", reason);
    return false;
}

static bool put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->at, w->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= w->left)
        return leat_fail(w->status, LEAT_ENOMEM, "out of memory for the text of a PyTorch module") == LEAT_OK;
    w->at += n;
    w->left -= (size_t)n;
    return true;
}

static const char *type_of(const leat_json *v)
{
    const char *type = leat_json_text(v);
    type = type ? type : leat_json_text(leat_json_get(v, "type"));
    return type ? type : "sequential";
}

static bool is_type(const leat_json *v, const char *type)
{
    return strcmp(type_of(v), type) == 0;
}

static int64_t integer(const leat_json *v, const char *key)
{
    int64_t n;
    return leat_json_int(leat_json_get(v, key), 0, INT64_MAX, &n) ? n : 0;
}

/* What closes the scales of a net, NULL for nothing: the same in all layers. */
static bool put_closing(writer *w, const leat_json *v, const char *name, int k)
{
    leat_scale_map scale = LEAT_SCALE_FREE;
    if (v)
        scale = leat_part_flag(v, "learned") ? LEAT_SCALE_LEARNED : LEAT_SCALE_TANH;
    if (v && is_type(v, "bounded_scale"))
        put(w, ", last=[Scale(%lld, learned=%s)]", (long long)integer(v, "columns"),
            scale == LEAT_SCALE_LEARNED ? "True" : "False");
    else if (v && is_type(v, "tanh") && w->form == TWO_NETS)
        put(w, ", last=[nn.Tanh()]");
    else if (v)
        return refuse(w, "layers.%d.%s.%d is '%s'", w->layer, name, k, type_of(v));
    if (w->layer && scale != w->scale)
        return refuse(w, "layers.%d.%s closes its scales otherwise than layers.0", w->layer, name);
    w->scale = scale;
    return true;
}

/* linear, relu, linear, ..., linear, and behind the last one what closes scales, if it gives them */
static bool put_net(writer *w, const leat_json *layer, const char *name, bool scales)
{
    const leat_json *net = leat_json_get(layer, name), *v = net ? net->first : NULL;
    if (!net || net->kind != LEAT_JSON_ARRAY)
        return refuse(w, "layers.%d.%s is no sequence of linear layers", w->layer, name);
    for (int k = 0; v; v = v->next, k++) {
        bool last = !v->next || (scales && !v->next->next && !is_type(v->next, "relu"));
        if (k % 2 ? !is_type(v, "relu") : !is_type(v, "linear"))
            return refuse(w, "layers.%d.%s.%d is '%s'", w->layer, name, k, type_of(v));
        if (k == 0)
            put(w, ", %s=mlp(%lld", name, (long long)integer(v, "in"));
        if (k % 2 == 0)
            put(w, ", %lld", (long long)integer(v, "out"));
        if (k % 2 == 0 && last)
            return (!scales || put_closing(w, v->next, name, k + 1)) && put(w, ")");
    }
    return refuse(w, "layers.%d.%s does not end in a linear layer", w->layer, name);
}

static form form_of(const leat_json *layer)
{
    return !is_type(leat_json_get(layer, "elementwise"), "affine") ? ADDITIVE
           : leat_json_get(layer, "net")                           ? ONE_NET
                                                                   : TWO_NETS;
}

static bool put_layer(writer *w, const leat_json *v)
{
    const leat_json *e = leat_json_get(v, "elementwise");
    if (!is_type(v, "coupling"))
        return refuse(w, "layers.%d is '%s', not a coupling", w->layer, type_of(v));
    if (!is_type(e, "affine") && !is_type(e, "additive"))
        return refuse(w, "layers.%d moves features by '%s'", w->layer, type_of(e));
    if (form_of(v) != w->form)
        return refuse(w, "layers.%d is not of the kind of layers.0", w->layer);
    return put(w, "            Coupling(%lld", (long long)w->dim) &&
           (w->form == TWO_NETS ? put_net(w, v, "snet", true) && put_net(w, v, "tnet", false)
                                : put_net(w, v, "net", w->form == ONE_NET)) &&
           put(w, "),\n");
}

static bool has_bounded(const leat_json *layer)
{
    const leat_json *net = leat_json_get(layer, form_of(layer) == TWO_NETS ? "snet" : "net");
    const leat_json *v = net && net->kind == LEAT_JSON_ARRAY ? net->first : NULL;
    while (v && v->next)
        v = v->next;
    return v && is_type(v, "bounded_scale");
}

static bool put_classes(writer *w)
{
    static const char *const theta[] = { "t = self.net(seen)\n        s = torch.zeros_like(t)",
                                         "s, t = self.net(seen).chunk(2, 1)",
                                         "s, t = self.snet(seen), self.tnet(seen)" };
    return put(w, usage, w->form == ADDITIVE ? "NICE" : "RealNVP", (long long)w->layers, w->context ? ", context" : "",
               (long long)w->dim, w->context ? "context)    # a row for each row of it" : "1000)") &&
           put(w, "%s%s", w->standardized ? standardize_class : "", w->bounded ? scale_class : "") &&
           put(w, coupling_class, theta[w->form]) && put(w, "%s", flow_class);
}

static bool put_ends(writer *w)
{
    const char *given = !w->context ? "" : !w->standardized ? "context" : "self.context(context, z)";
    const char *rows = w->context ? "len(context)" : "n";
    return put(w, log_prob, w->context ? ", context" : "", w->standardized ? "self.input(x, self.layers[0].mask)" : "x",
               w->standardized ? "-self.input.sd.log().sum()" : "0", given) &&
           put(w, sample, w->context ? "context" : "n", rows, (long long)w->dim, given,
               w->standardized ? "z * self.input.sd + self.input.mean" : "z");
}

static bool put_module(writer *w, const leat_json *top)
{
    const leat_json *layers = leat_json_get(top, "layers"), *base = leat_json_get(top, "base");
    if (!is_type(base, "normal"))
        return refuse(w, "the base is '%s'", type_of(base));
    if (!layers->first)
        return refuse(w, "there are no layers");
    w->dim = integer(top, "dim");
    w->context = integer(top, "context");
    w->layers = layers->count;
    w->standardized = leat_part_flag(top, "input");
    w->form = form_of(layers->first);
    for (const leat_json *v = layers->first; v; v = v->next)
        w->bounded = w->bounded || has_bounded(v);
    put_classes(w);
    if (w->standardized)
        put(w, "        self.input = Standardize(%lld)\n", (long long)w->dim);
    if (w->standardized && w->context)
        put(w, "        self.context = Standardize(%lld)\n", (long long)w->context);
    put(w, "        self.layers = nn.ModuleList([\n");
    for (const leat_json *v = layers->first; v; v = v->next, w->layer++) {
        if (!put_layer(w, v))
            return false;
    }
    return put_ends(w);
}

/* ---- both halves ------------------------------------------------------------------------------------------------- */

static char *describe_module(leat_flow *f, leat_arena *a, leat_scale_map *scale, leat_status *s)
{
    leat_json *top = NULL;
    leat_units units;
    if (f && leat_flow_units(f, &units) && (units.lower || units.whole)) {
        leat_fail(s, LEAT_EARG, "input has columns with bounds or of whole numbers, which PyTorch is not given");
        return NULL;
    }
    char *text = leat_flow_describe(f, a, s);
    if (!text || leat_json_read(text, strlen(text), LEAT_FLOW_KEY, 0, a, &top, s))
        return NULL;
    size_t size = 2 * strlen(text) + 8192; /* a layer takes less in Python than twice its description */
    char *module = leat_arena_alloc(a, size);
    writer w = { .status = s, .at = module, .left = size };
    if (!module)
        leat_fail(s, LEAT_ENOMEM, "out of memory for the text of a PyTorch module");
    if (!module || !put_module(&w, top) || s->code)
        return NULL;
    *scale = w.scale;
    return module;
}

char *leat_flow_pytorch(leat_flow *f, leat_arena *a, leat_status *s)
{
    leat_scale_map scale;
    leat_status own = { 0 };
    char *module = describe_module(f, a, &scale, &own);
    if (!module)
        leat_fail(s, own.code, "%s", own.message);
    return module;
}

leat_code leat_flow_save_pytorch(leat_flow *f, const char *path, leat_status *s)
{
    static const char *const words[] = { "tanh", "learned", "none" };
    leat_scale_map scale = LEAT_SCALE_TANH;
    leat_status own = { 0 };
    leat_arena scratch;
    leat_arena_init(&scratch, f ? leat_model_arena(f->module.model)->allocator : NULL);
    if (describe_module(f, &scratch, &scale, &own)) {
        const char *metadata[][2] = { { "format", "pt" }, { LEAT_SCALE_KEY, words[scale] } };
        leat_save(f->module.model, path, 2, metadata, &own);
    }
    leat_arena_free(&scratch);
    return own.code ? leat_fail(s, own.code, "%s", own.message) : LEAT_OK;
}
