/* Private to flows: a flow as JSON (flow_json.c) and its form by the names of its tensors (pytorch_infer.c). */
#ifndef LEAT_DESCRIBE_H
#define LEAT_DESCRIBE_H

#include "../flow_impl.h"

enum { LEAT_FLOW_FORMAT = 2 }; /* of the description; a file with a later one is refused */
#define LEAT_FLOW_KEY  "leat.flow"
#define LEAT_SCALE_KEY "leat.scale_map" /* of a state_dict that leat has exported: tanh, learned or none */

/* The flow that a description tells, built in r->model; NULL and a status. */
leat_flow *leat_flow_read(leat_part_reader *r, const leat_json *top);

/* The flow that has the tensors of a PyTorch state_dict; what they do not tell is taken from `o`, and told in note. */
leat_flow *leat_flow_infer(leat_part_reader *r, const leat_flow_load_opts *o, char *note, size_t size);

/* Whose names a state_dict has. */
typedef enum leat_dialect { LEAT_DIALECT_OWN, LEAT_DIALECT_ZUKO, LEAT_DIALECT_NFLOWS } leat_dialect;

/* If the file is zuko's or nflows', r->file becomes one with the names that leat's own would have, and `orders` has those
 * of autoregressive layers, "layers.N.order". False, and a status, after a failure. */
bool leat_infer_names(leat_part_reader *r, leat_dialect *dialect, leat_safetensors *orders);

/* The place of each feature, a permutation; NULL and a status. */
const int64_t *leat_infer_order(leat_part_reader *r, const leat_tensor *order, int64_t features);

/* Puts the rows of the linear layer of that name, and of its mask, group by group: among the rows of a feature those of
 * group g stood from offset[g] on. False, and a status: out of memory. */
bool leat_infer_regroup(leat_part_reader *r, const char *linear, int64_t features, const leat_elementwise *e,
                        const int64_t *offset);

/* Multiplies its first rows, of weights and bias. */
void leat_infer_scale(leat_part_reader *r, const char *linear, int64_t rows, double factor);

#endif
