/* Drawing and scoring any number of rows, a chunk at a time, so that memory does not grow with their number. */
#include "flow.h"

#include <string.h>

enum { CHUNK_ROWS = 2048 };

typedef struct modes {
    bool recording, training;
} modes;

static modes set_modes(leat_tape *t, modes m)
{
    return (modes){ leat_tape_set_recording(t, m.recording), leat_tape_set_training(t, m.training) };
}

static int64_t chunk_at(int64_t done, int64_t n)
{
    return n - done < CHUNK_ROWS ? n - done : CHUNK_ROWS;
}

leat_code leat_flow_draw(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_real *out)
{
    modes were = set_modes(t, (modes){ false, false });
    int64_t done = 0;
    do { /* once for n = 0 too: a failed model must be told */
        int64_t rows = chunk_at(done, n);
        leat_tape_reset(t);
        leat_tensor x = leat_value(leat_flow_sample(f, t, rows, temperature));
        if (leat_tape_code(t))
            break;
        int64_t count = leat_shape_count(&x.shape);
        if (count)
            memcpy(out, x.data, (size_t)count * sizeof *out);
        out += count;
        done += rows;
    } while (done < n);
    set_modes(t, were);
    return leat_tape_code(t);
}

leat_code leat_flow_score(leat_flow *f, leat_tape *t, leat_tensor x, double *out)
{
    modes were = set_modes(t, (modes){ false, false });
    int64_t n = x.shape.rank ? x.shape.size[0] : 0, done = 0, dim = x.shape.rank == 2 ? x.shape.size[1] : 0;
    do {
        int64_t rows = chunk_at(done, n);
        leat_tensor chunk = { x.data, x.shape };
        if (x.shape.rank == 2) { /* any other rank is refused below, as it is */
            chunk.data += done * dim;
            chunk.shape.size[0] = rows;
        }
        leat_tape_reset(t);
        leat_tensor log_prob = leat_value(leat_flow_log_prob(f, leat_borrow(t, chunk)));
        if (leat_tape_code(t))
            break;
        for (int64_t i = 0; i < rows; i++)
            out[done + i] = (double)log_prob.data[i];
        done += rows;
    } while (done < n);
    set_modes(t, were);
    return leat_tape_code(t);
}
