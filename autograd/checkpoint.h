/* Private: making the range of a block (block.h) again. */
#ifndef LEAT_CHECKPOINT_H
#define LEAT_CHECKPOINT_H

#include "block.h"

/* What a run depends on besides its inputs. */
typedef struct leat_moment {
    leat_rng rng;
    const leat_scope *scope;
    bool training;
} leat_moment;

leat_moment leat_tape_moment(const leat_tape *t);

/* Between begin and end the tape records, as it did at that moment; `end` lets go of what was made, and goes back. */
typedef struct leat_rerun {
    leat_tape *tape;
    leat_tape_mark mark;
    leat_arena_mark scratch;
    leat_moment was;
    bool recording, recomputing;
} leat_rerun;

leat_rerun leat_rerun_begin(leat_tape *t, const leat_moment *then);
void leat_rerun_end(leat_rerun *r);

/* Whether a variable has that shape and those numbers; NaN equals NaN. Otherwise the tape fails. */
bool leat_rerun_equals(leat_tape *t, leat_var v, const leat_tensor *first);

#endif
