/*
 * The jobs that leat is timed by; compare.py has its rivals do the same ones. All are in batches of 256:
 *
 *     nice_moons, realnvp_moons       ten epochs of ten thousand points: training alone
 *     nice_784                        one training step of the size of NICE's paper
 *     realnvp_43                      one training step of RealNVP on 43 columns, hidden 256
 *     sample_one                      drawing a point
 *     sample_million, score_million   drawing and scoring a million points
 *     start_up                        building a flow and drawing its first point; by the whole process, if one asks it
 *     nsf_10                          one training step of an autoregressive spline flow on 10 columns
 *     nsf_sample                      drawing 10,000 points from it, not trained
 *     glow_28                         one training step of Glow on 64 images of 28x28: 2 levels of 8 steps, hidden 128
 *     flowpp_28                       one training step of Flow++ on 64 images of 28x28: 4, 2 and 3 couplings of 2 blocks of
 *                                     32 features, 32 components, uniform dequantisation
 *     flowpp_sample                   drawing 64 images from it, not trained
 *
 * The four from sample_one on are with the NICE of nice_moons, not trained.
 */
#ifndef LEAT_BENCH_JOBS_H
#define LEAT_BENCH_JOBS_H

#include "../../flows/flows.h"

typedef struct jobs_result {
    double seconds, gflop; /* of one unit: all of a training, a median step, ... */
    size_t tape_peak;      /* bytes */
} jobs_result;

int jobs_count(void);
const char *jobs_name(int job);
bool jobs_is_step(int job);

/* Runs it; `smoke` does a small part. `how` is for training. Ends the program if something fails. */
jobs_result jobs_run(int job, int threads, leat_recompute how, bool smoke);

/* The seconds of a median step, the first few not counted, on random rows, or bytes if the flow takes those. */
jobs_result jobs_steps(leat_model *m, leat_flow *f, int64_t rows, int steps);

#endif
