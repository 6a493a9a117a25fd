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

#endif
