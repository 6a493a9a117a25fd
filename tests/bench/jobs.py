"""What the jobs of compare.py are, shared by leat's rivals: models, data, and how a measurement is told.

Every rival is a program `rivals_X.py KIND JOB THREADS SEED` that does one job and prints one line:
seconds, number of parameters, loss (empty where a job has none) and peak resident KB, separated by tabs.
"""
import collections
import statistics
import time

import numpy

Model = collections.namedtuple("Model", "dim couplings hidden affine paper")

NOTEBOOK = Model(dim=2, couplings=6, hidden=(128, 128), affine=False, paper=False)
MODELS = collections.defaultdict(lambda: NOTEBOOK, {
    "realnvp_moons": NOTEBOOK._replace(affine=True),
    "realnvp_moons_whole": NOTEBOOK._replace(affine=True),
    "nice_784": Model(dim=784, couplings=4, hidden=(1000,) * 5, affine=False, paper=True),
    "realnvp_43": Model(dim=43, couplings=6, hidden=(256, 256), affine=True, paper=False),
    "nsf_10": Model(dim=10, couplings=5, hidden=(128, 128), affine=False, paper=False),
    "nsf_sample": Model(dim=10, couplings=5, hidden=(128, 128), affine=False, paper=False),
})

BATCH, EPOCHS, POINTS, LR = 256, 10, 10_000, 1e-3
MILLION = 1_000_000
PART = 1_000  # rows at a time of a million, where one chooses: what a layer gives then stays in the cache
STEPS = {"nice_784": 20, "realnvp_43": 60, "nsf_10": 60, "glow_28": 10, "flowpp_28": 10, "flowpp_sample": 5}


def moons(seed):
    from sklearn.datasets import make_moons
    return make_moons(n_samples=POINTS, noise=0.05, random_state=seed)[0].astype(numpy.float32)


def table(job, seed):
    """Random rows for the jobs that time single steps and scores."""
    rows = MILLION if job == "score_million" else BATCH
    return numpy.random.default_rng(seed).standard_normal((rows, MODELS[job].dim), dtype=numpy.float32)


def seconds_of(call):
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def median_seconds(call, times, unmeasured):
    """Median over so many calls after some that do not count, and what the last call gave."""
    for _ in range(unmeasured):
        call()
    seconds = []
    for _ in range(times):
        took, value = seconds_of(call)
        seconds.append(took)
    return statistics.median(seconds), value


def peak_resident():
    """KB. Not getrusage's: that also counts what the parent had when it started this process."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def tell(parameters, seconds, loss=None):
    said = "" if loss is None else f"{loss:.5f}"
    print(f"{seconds:.9g}\t{parameters}\t{said}\t{peak_resident()}")
