/*
 * How long the jobs of jobs.h take, and how near that is to what the machine can multiply. Matrix products have
 * bench_gemm, elementwise ops bench_elementwise, growth with the model's size bench_growth.
 *
 *     bench [--smoke] [--threads N] [--job NAME] [--recompute[=invert]] [--tsv]
 *
 * Each job is done with one thread and with N, all that there are if it is not said. --smoke does a part of each, to see
 * that it runs. --recompute has the jobs of training keep only the transforms' inputs, or nothing. --tsv prints a line
 * for programs, of N threads alone: name, threads, seconds, 10^9 floating-point operations in matrix products, peak
 * resident KB.
 */
#include "common.h"
#include "jobs.h"
#include "peak.h"

typedef struct options {
    bool smoke, tsv;
    int threads;
    const char *job;
    leat_recompute how;
} options;

/* The most memory that this process has had, in KB. What getrusage tells has been inherited. */
static long peak_resident(void)
{
    char line[256];
    long kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    if (status)
        fclose(status);
    return kb;
}

static options read_options(int argc, char **argv)
{
    options o = { .threads = leat_available_threads() };
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--smoke") == 0)
            o.smoke = true;
        else if (strcmp(argv[i], "--tsv") == 0)
            o.tsv = true;
        else if (strcmp(argv[i], "--recompute") == 0)
            o.how = LEAT_RECOMPUTE_FORWARD;
        else if (strcmp(argv[i], "--recompute=invert") == 0)
            o.how = LEAT_RECOMPUTE_INVERT;
        else if ((value = option(argv, &i, "--threads")))
            o.threads = atoi(value);
        else if ((value = option(argv, &i, "--job")))
            o.job = value;
        else
            die("usage: bench [--smoke] [--threads N] [--job NAME] [--recompute[=invert]] [--tsv]");
    }
    if (o.threads < 1)
        die("bench: --threads must be 1 or more");
    return o;
}

static void print_row(const char *name, int threads, const jobs_result *r, double peak)
{
    double rate = r->gflop / r->seconds;
    printf("%-16s %7d %12.3f ms %9.1f %7.0f %% %10.2f MB\n", name, threads, 1e3 * r->seconds, rate,
           100 * rate / (peak * threads), 1e-6 * (double)r->tape_peak);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    double peak = 0;
    bool found = false;
    if (!o.tsv) {
        print_cpu();
        peak = peak_gflops(o.smoke);
        printf("peak of one core %.1f GFLOP/s\n\n%-16s %7s %15s %9s %9s %13s\n", peak, "job", "threads", "time",
               "GFLOP/s", "of peak", "tape's peak");
    }
    for (int job = 0; job < jobs_count(); job++) {
        if (o.job && strcmp(o.job, jobs_name(job)) != 0)
            continue;
        found = true;
        for (int t = o.tsv ? o.threads : 1; t <= o.threads; t += o.threads > t ? o.threads - t : 1) {
            jobs_result r = jobs_run(job, t, o.how, o.smoke);
            if (o.tsv)
                printf("%s\t%d\t%.9g\t%.9g\t%ld\n", jobs_name(job), t, r.seconds, r.gflop, peak_resident());
            else
                print_row(jobs_name(job), t, &r, peak);
        }
    }
    if (!found)
        die("bench: there is no such job; jobs.h has them all");
    return 0;
}
