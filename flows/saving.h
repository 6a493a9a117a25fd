/* leat/flows: flows in files. Part of flows.h, which includes it. */
#ifndef LEAT_SAVING_H
#define LEAT_SAVING_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A flow's file is a safetensors of all its tensors whose metadata describes the flow, as JSON under the key
 * `leat.flow`: so the file alone rebuilds model and flow. Every part of this library can be described, and any chain of
 * them, and so can a part of your own whose type has `write` and `read` (nn/parts.h). Who reads the file lists
 * it in leat_own_parts; who does not is told its name. A bijector of your own needs no more than to be listed: the file
 * has its name, widths and numbers. A part without `write` is refused with its name; leat_save saves its tensors all the
 * same, and leat_load loads them into a flow that you have built.
 */

/* Lists that end with NULL, or NULL; of transforms and bases the `module` of their types. */
typedef struct leat_own_parts {
    const leat_module_type *const *layers, *const *transforms, *const *bases;
    const leat_elementwise *const *elementwises;
} leat_own_parts;

/* For `read` of your own transforms and bases: the features of the flow, and a transform under a key (named like the
 * key); NULL and a status. */
LEAT_API int64_t leat_part_features(const leat_part_reader *r);
LEAT_API leat_transform *leat_part_inner(leat_part_reader *r, const leat_json *v, const char *key);

/* And a bijector under the key "elementwise", of the library's or listed; `owner` is the part that is written. */
LEAT_API void leat_elementwise_write(leat_part_writer *w, const leat_module *owner, const leat_elementwise *e);
LEAT_API const leat_elementwise *leat_elementwise_read(leat_part_reader *r, const leat_json *v);

/* `metadata` (pairs of key and text, may be NULL) goes into the file as well. The flow must be the whole of its model.
 * All or nothing. */
LEAT_API leat_code leat_flow_save(leat_flow *f, const char *path, int64_t metadata_count, const char *(*metadata)[2],
                                  leat_status *s);

/* The description alone, for files of your own; from the arena, NULL and a status if a part cannot be described. */
LEAT_API char *leat_flow_describe(leat_flow *f, leat_arena *a, leat_status *s);

/* For files without a description: a state_dict of a NICE or RealNVP that PyTorch has saved, told by its names and
 * shapes: layers.N.mask, layers.N.net.K.weight or snet and tnet, any widths, depths, dimension, context and masks, and
 * input.mean, input.sd, context.mean and context.sd of a standardizer; or one of zuko's or nflows' MAF, NSF or RealNVP. A prefix of all names is left out. Numbers that
 * are not finite are refused (LEAT_ENONFINITE). What no tensor tells is taken from here. */
typedef struct leat_flow_load_opts {
    leat_model_opts model;
    leat_activation activation;                     /* LEAT_IDENTITY (0): ReLU */
    leat_base *(*base)(leat_model *m, int64_t dim); /* NULL: leat_normal */
    double tail_bound;                              /* of nflows' splines; 0: 1, as there */
    leat_scale_map scale; /* a learned one is recognised by its tensor, and an export of leat's tells its own */
    leat_own_parts own;   /* for files that are described */
} leat_flow_load_opts;

typedef struct leat_flow_file {
    bool described; /* by the file itself */
    char note[300]; /* else what was taken for granted, in words; "" if nothing */
    int64_t metadata_count;
    const char *(*metadata)[2]; /* the file's other pairs; they live as long as the model */
} leat_flow_file;

/* The flow that a file holds, in a model of its own: leat_model_free(leat_flow_model(flow)) frees all. Options and
 * `info` may be NULL. On failure NULL, with a status that names the file: not a safetensors (LEAT_EFORMAT), a
 * description of a later version or with a part that this version does not know (LEAT_EFORMAT), tensors that are
 * missing, too many, or of another shape than described (LEAT_EFORMAT, LEAT_ESHAPE). Until that is known nothing is
 * allocated that is larger than the file's own tensors together, and all is bounded as for other files (tensor.h). */
LEAT_API leat_flow *leat_flow_load(const char *path, const leat_flow_load_opts *o, leat_flow_file *info,
                                   leat_status *s);

/* To PyTorch: the flow's tensors as a state_dict, and the text of a module that loads them strictly and has log_prob and
 * sample, in Python, from the arena. Both are for couplings of one kind (additive, or affine by one net or two, with any
 * scale map) with ReLU nets over a standard normal base, with or without a standardizer and a context; anything else is
 * LEAT_EARG with what is in the way, "layers.2 is 'diagonal_scale', not a coupling". leat_flow_load reads the state_dict
 * back; its metadata holds the scale map, which no tensor tells. */
LEAT_API leat_code leat_flow_save_pytorch(leat_flow *f, const char *path, leat_status *s);
LEAT_API char *leat_flow_pytorch(leat_flow *f, leat_arena *a, leat_status *s);

#ifdef __cplusplus
}
#endif

#endif
