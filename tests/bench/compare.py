#!/usr/bin/env python3
"""Runs the same jobs in leat and in its rivals, and prints how long each takes, as Markdown.

    compare.py BUILD [--rounds 3] [--threads 1,2] [--jobs a,b] [--limit] [--avx2]

BUILD is a build folder with the tests.

The jobs, all of floats, in batches of 256:

    nice_moons        10 epochs of 10,000 points of two moons, the notebook's NICE: training alone
    realnvp_moons     the same of RealNVP
    *_moons_whole     the process around that: leat's also draws samples and writes its files and pictures; the rivals'
                      make the points with scikit-learn, and write nothing
    nice_784          one training step of the size of NICE's paper: 784 columns, five hidden layers of 1000
    realnvp_43        one training step of RealNVP on 43 columns, hidden 256
    sample_one        drawing one point from the notebook's NICE;  sample_million, score_million: a million
    start_up          a process that draws one point, from start to end
    nsf_10            one training step of an autoregressive spline flow: 10 columns, 5 transforms, 8 bins, hidden 128
    nsf_sample        drawing 10,000 rows from it
    glow_28           one training step of Glow: 64 images of 28x28x1 bytes, 2 levels of 8 steps, hidden 128
    flowpp_28         one training step of Flow++ on such images: 4, 2 and 3 couplings, 2 blocks of 32 features, 32
                      components, uniform dequantisation;  flowpp_sample: drawing 64 images from it

The rivals are PyTorch in three ways (rivals_torch.py says which), jitted JAX (rivals_jax.py) and ONNX Runtime
(rivals_onnx.py), of the spline flow zuko (rivals_zuko.py), and of Glow and Flow++ PyTorch in ways of its own
(rivals_glow.py, rivals_flowpp.py), of Glow JAX too (rivals_jax_glow.py). Compiling does not count, but in whole processes and start_up. One that is not
installed, or fails, is left out, with a line that says so; if one has trained another model, the exit code is 1. Every measurement is a process
of its own, on as many processors as it has threads; the programs take turns, and the medians are compared, so that what
else the machine does hits all of them alike.

--avx2 has a machine with wider vectors do without them, as far as the programs can be told: the matrix products of JAX
and ONNX Runtime cannot.

--limit compares leat with the machine, too: the matrix products of a job at the best rate of the same processors, of
OpenBLAS on large squares or of leat's own peak, whichever is more.

Needs NumPy and scikit-learn, and of torch, zuko, jax, onnxruntime with onnx and onnxscript what is there.
"""
import argparse
import collections
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

JOBS = ("nice_moons", "nice_moons_whole", "realnvp_moons", "realnvp_moons_whole", "nice_784", "realnvp_43",
        "sample_one", "sample_million", "score_million", "start_up", "nsf_10", "nsf_sample", "glow_28",
        "flowpp_28", "flowpp_sample")
OF_ZUKO = ("nsf_10", "nsf_sample")
OF_FLOWPP = ("flowpp_28", "flowpp_sample")
OF_ALL = tuple(job for job in JOBS if job not in (*OF_ZUKO, *OF_FLOWPP, "glow_28"))
APPS = {"nice_moons_whole": "train_nice", "realnvp_moons_whole": "train_realnvp"}
TIMED_OUTSIDE = (*APPS, "start_up")
OF_MEMORY = ("nice_moons", "nice_784", "glow_28", "flowpp_28")
LOSS_APART = {"nice_moons_whole": 0.05}  # RealNVP's losses are too noisy to tell

AVX2 = {"LEAT_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}

Kind = collections.namedtuple("Kind", "title needs script jobs")
LEAT = "leat"
RIVALS = {
    "notebook": Kind("PyTorch, notebook", ("torch",), "rivals_torch.py", OF_ALL),
    "tuned": Kind("PyTorch, tuned", ("torch",), "rivals_torch.py", OF_ALL),
    "compiled": Kind("PyTorch, compiled", ("torch",), "rivals_torch.py", [j for j in OF_ALL if j not in TIMED_OUTSIDE]),
    "jax": Kind("JAX", ("jax",), "rivals_jax.py", OF_ALL),
    "onnx": Kind("ONNX Runtime", ("onnxruntime", "onnx", "onnxscript", "torch"), "rivals_onnx.py",
                 ("sample_one", "sample_million", "score_million", "start_up")),
    "zuko": Kind("zuko", ("torch", "zuko"), "rivals_zuko.py", OF_ZUKO),
    "zuko_compiled": Kind("zuko, compiled", ("torch", "zuko"), "rivals_zuko.py", ("nsf_10",)),
    "glow": Kind("PyTorch", ("torch",), "rivals_glow.py", ("glow_28",)),
    "glow_last": Kind("PyTorch, channels_last", ("torch",), "rivals_glow.py", ("glow_28",)),
    "glow_compiled": Kind("PyTorch, channels_last, compiled", ("torch",), "rivals_glow.py", ("glow_28",)),
    "glow_jax": Kind("JAX", ("jax",), "rivals_jax_glow.py", ("glow_28",)),
    "flowpp": Kind("PyTorch", ("torch",), "rivals_flowpp.py", OF_FLOWPP),
    "flowpp_last": Kind("PyTorch, channels_last", ("torch",), "rivals_flowpp.py", OF_FLOWPP),
    "flowpp_compiled": Kind("PyTorch, channels_last, compiled", ("torch",), "rivals_flowpp.py", OF_FLOWPP),
}
Reading = collections.namedtuple("Reading", "seconds kb gflop parameters loss", defaults=(None,) * 4)


class Failed(Exception):
    pass


# ---- one measurement ------------------------------------------------------------------------------------------------

def script(name):
    return [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), name)]


def run(command, threads):
    """A process on as many processors as it may use threads: its seconds from start to end, and what it prints."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[-threads:])
    try:
        start = time.perf_counter()
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        whole = time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, allowed)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failed(next((line for line in reversed(said) if "Error" in line), said[-1]))
    return whole, done.stdout.strip()


def measure_leat(build, job, threads, seed, folder):
    if job in APPS:
        out = os.path.join(folder, job)
        whole, _ = run([os.path.join(build, "apps", APPS[job]), "--quiet", "--threads", str(threads), "--seed",
                        str(seed), "--out", out], threads)
        with open(os.path.join(out, "loss.csv"), encoding="ascii") as losses:
            return Reading(whole, loss=float(losses.read().split(",")[-1]))
    whole, said = run([os.path.join(build, "tests", "bench-leat"), "--tsv", "--job", job, "--threads", str(threads)],
                      threads)
    name, _, seconds, gflop, kb = said.split("\t")
    if name != job:
        raise Failed(f"bench-leat was asked for {job}, and tells of {name}")
    return Reading(whole if job in TIMED_OUTSIDE else float(seconds), int(kb), float(gflop))


def measure_rival(kind, job, threads, seed, folder):
    whole, said = run([*script(RIVALS[kind].script), kind, job, str(threads), str(seed), folder], threads)
    seconds, parameters, loss, kb = said.splitlines()[-1].split("\t")
    return Reading(whole if job in TIMED_OUTSIDE else float(seconds), int(kb), None, int(parameters),
                   float(loss) if loss else None)


# ---- all of them ----------------------------------------------------------------------------------------------------

def measure_all(build, jobs, threads, rounds, kinds, folder):
    """Readings by (job, threads, kind), and a line for each rival that failed."""
    readings, failed = collections.defaultdict(list), {}
    for turn in range(rounds):
        for job in jobs:
            for t in threads:
                for kind in (LEAT, *(k for k in kinds if job in RIVALS[k].jobs)):
                    key = job, t, kind
                    if key in failed:
                        continue
                    try:
                        reading = (measure_leat(build, job, t, turn, folder) if kind == LEAT else
                                   measure_rival(kind, job, t, turn, folder))
                    except Failed as why:
                        if kind == LEAT:
                            sys.exit(f"leat, {job}, {t} threads: {why}")
                        failed[key] = str(why)
                        continue
                    readings[key].append(reading)
                    print(f"round {turn + 1}, {job}, {t} threads, {kind}: {in_units(reading.seconds)}", file=sys.stderr)
    for key in failed:
        readings.pop(key, None)
    return readings, [f"{RIVALS[kind].title} failed in {job}, threads: {t}. {why}"
                      for (job, t, kind), why in failed.items()]


def find_rivals():
    """Those whose packages are there, and a line for each of the others."""
    lacks = {kind: [p for p in rival.needs if not importlib.util.find_spec(p)] for kind, rival in RIVALS.items()}
    return ([kind for kind in RIVALS if not lacks[kind]],
            [f"{RIVALS[kind].title} is left out: there is no {', no '.join(p)}." for kind, p in lacks.items() if p])


def peaks(build, threads):
    """GFLOP/s of OpenBLAS and of leat's own peak, by the number of threads."""
    _, said = run([os.path.join(build, "tests", "bench_gemm-leat"), "--smoke"], 1)
    own = re.search(r"peak of one core ([0-9.]+) GFLOP/s", said)
    if not own:
        sys.exit("bench_gemm-leat does not tell its peak")
    return {t: (float(run(script("peak_blas.py"), t)[1]), float(own.group(1)) * t) for t in threads}


# ---- the report -----------------------------------------------------------------------------------------------------

def in_units(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}"


def median(readings, field):
    values = [getattr(r, field) for r in readings if getattr(r, field) is not None]
    return statistics.median(values) if values else None


def print_table(head, rows):
    print("| " + " | ".join(head) + " |\n| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def times_table(readings, jobs, threads, kinds, limits):
    print("Seconds; in brackets: how many times leat's.\n")
    head = ["job", "threads", LEAT, *(RIVALS[k].title for k in kinds), "best rival to leat"]
    rows = []
    for job, t in ((job, t) for job in jobs for t in threads):
        ours = median(readings[job, t, LEAT], "seconds")
        theirs = {k: median(readings[job, t, k], "seconds") for k in kinds if (job, t, k) in readings}
        row = [job, t, in_units(ours)]
        row += [f"{in_units(theirs[k])} ({theirs[k] / ours:.2f})" if k in theirs else "" for k in kinds]
        row.append(f"{min(theirs.values()) / ours:.2f}" if theirs else "")
        gflop = median(readings[job, t, LEAT], "gflop")
        if limits and gflop and job not in TIMED_OUTSIDE:
            least = gflop / max(limits[t])
            row += [in_units(least), f"{ours / least:.2f}"]
        elif limits:
            row += ["", ""]
        rows.append(row)
    print_table(head + (["limit", "leat to limit"] if limits else []), rows)


def memory_table(readings, jobs, threads, kinds):
    rows = []
    for job, t in ((job, t) for job in OF_MEMORY if job in jobs for t in threads):
        ours = median(readings[job, t, LEAT], "kb")
        row = [job, t, f"{ours / 1024:.1f} MB"]
        for theirs in (median(readings.get((job, t, k), []), "kb") for k in kinds):
            row.append(f"{theirs / 1024:.0f} MB ({ours / theirs:.3f})" if theirs else "")
        rows.append(row)
    if rows:
        print("Peak resident memory; in brackets: leat's share of that.\n")
        print_table(["job", "threads", LEAT, *(RIVALS[k].title for k in kinds)], rows)


def sameness_table(readings, jobs, kinds):
    """Parameters, and the loss of the last epoch or step; gives a line for each job whose models are not the same."""
    rows, odd = [], []
    for job in jobs:
        of_kind = {k: [r for (j, _, kind), many in readings.items() if (j, kind) == (job, k) for r in many]
                   for k in (LEAT, *kinds)}
        counts = {r.parameters for many in of_kind.values() for r in many if r.parameters}
        losses = [median(many, "loss") for many in of_kind.values()]
        told = [loss for loss in losses if loss is not None]
        if len(counts) > 1:
            odd.append(f"NOT THE SAME MODEL in {job}: parameters {', '.join(map(str, sorted(counts)))}")
        if job in LOSS_APART and max(told) - min(told) > LOSS_APART[job]:
            odd.append(f"NOT THE SAME MODEL in {job}: losses from {min(told):.3f} to {max(told):.3f}")
        if told:
            count = next(iter(counts), "")
            rows.append([job, count, *("" if loss is None else f"{loss:.3f}" for loss in losses)])
    if rows:
        print("Loss of the last epoch, or of the last step on one batch of random rows.\n")
        print_table(["job", "parameters", LEAT, *(RIVALS[k].title for k in kinds)], rows)
    return odd


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        said = re.search(r"^model name\s*: (.*)$", info.read(), re.M)
    return said.group(1) if said else platform.machine()


def print_head(o, kinds):
    packages = sorted({p for kind in kinds for p in RIVALS[kind].needs if p in ("torch", "jax", "onnxruntime", "zuko")})
    versions = [run([os.path.join(o.build, "apps", "leat"), "--version"], 1)[1]]
    versions += [f"{p} {importlib.metadata.version(p)}" for p in (*packages, "numpy")]
    print(f"{datetime.date.today()}, {cpu_name()}, processors: {len(os.sched_getaffinity(0))}; {', '.join(versions)}; "
          f"{'no wider vectors than AVX2; ' if o.avx2 else ''}medians, interleaved, rounds: {o.rounds}.\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--avx2", action="store_true")
    o = parser.parse_args()
    if o.avx2:
        os.environ.update(AVX2)
    jobs, threads = o.jobs.split(","), [int(t) for t in o.threads.split(",")]
    for job in jobs:
        if job not in JOBS:
            parser.error(f"there is no job {job}; there are {', '.join(JOBS)}")
    kinds, notes = find_rivals()
    kinds = [k for k in kinds if set(jobs) & set(RIVALS[k].jobs)]
    if max(threads) > len(os.sched_getaffinity(0)):
        notes.append(f"{max(threads)} threads had {len(os.sched_getaffinity(0))} processors.")
    with tempfile.TemporaryDirectory() as folder:
        if "onnx" in kinds:
            run([*script("rivals_onnx.py"), "export", folder], 1)
        readings, failures = measure_all(o.build, jobs, threads, o.rounds, kinds, folder)
    limits = peaks(o.build, threads) if o.limit else None
    print_head(o, kinds)
    times_table(readings, jobs, threads, kinds, limits)
    for t, (blas, own) in (limits or {}).items():
        print(f"Threads: {t}. OpenBLAS {blas:.1f} GFLOP/s, leat's peak {own:.1f} GFLOP/s\n")
    memory_table(readings, jobs, threads, kinds)
    odd = sameness_table(readings, jobs, kinds)
    print("\n".join(notes + failures + odd))
    sys.exit(1 if odd else 0)


if __name__ == "__main__":
    main()
