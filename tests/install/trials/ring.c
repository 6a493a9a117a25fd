/* Reverse KL: a flow trained against a log-density of which no data are known, a ring. */
#include "trial.h"

/* log p = -(|x| - 2)^2 / (2 0.3^2), up to a constant */
static leat_var ring(leat_var x)
{
    leat_var radius = leat_sqrt(leat_sum_features(leat_square(x)));
    return leat_mul_scalar(leat_square(leat_sub_scalar(radius, 2)), -1 / (2 * 0.3 * 0.3));
}

static leat_var reverse_kl(void *user, leat_flow *f, leat_tape *t, leat_var x, leat_var context)
{
    (void)user, (void)x, (void)context;
    leat_var log_q;
    leat_var y = leat_flow_sample_log_prob(f, t, 256, &log_q);
    return leat_mean(leat_sub(log_q, ring(y)));
}

/* (sum w)^2 / (n sum w^2) of the importance weights w = p / q of n draws */
static double effective_part(leat_flow *f, leat_tape *t, int64_t n)
{
    double sum = 0, squares = 0;
    leat_var log_q;
    leat_tape_reset(t);
    leat_tape_set_recording(t, false);
    leat_tensor log_w = leat_value(leat_sub(ring(leat_flow_sample_log_prob(f, t, n, &log_q)), log_q));
    for (int64_t i = 0; log_w.data && i < n; i++) {
        double w = exp((double)log_w.data[i]);
        sum += w;
        squares += w * w;
    }
    return sum * sum / ((double)n * squares);
}

int main(void)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1 });
    leat_flow *f = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 8, .hidden = { 32, 32 } });
    leat_tape *t = leat_model_tape(m, NULL);
    double before = effective_part(f, t, 4096);
    leat_fit *fit = leat_fit_new(f, &(leat_fit_opts){ .loss = reverse_kl, .steps = 100, .epochs = 8, .lr = 3e-3 });
    if (leat_fit_run(fit))
        return complain("fit", leat_model_status(m)->message);
    double after = effective_part(f, t, 4096);
    printf("effective sample size: %.2f of the draws, %.2f before training\n", after, before);
    leat_model_free(m);
    return after > 0.6 && after > before ? EXIT_SUCCESS : complain("fit", "the ring was not learned");
}
