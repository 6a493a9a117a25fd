#!/usr/bin/env python3
"""How well, and how fast, `leat fit` with no option but -o finds densities, beside zuko's flows.

    densities.py BUILD [--sets a,b] [--splits 10] [--rivals nsf,maf,realnvp] [--options "--model nsf"]

BUILD is a build folder. Made sets have fresh rows to be tested on, as many as the table says; of real tables each split
holds out a fifth. Both sides get the same rows, in double to leat, standardized in float to zuko. zuko's flows have five
transforms (RealNVP: eight couplings), 8 bins, hidden 128, 128; 60 epochs, or 200 of tables below 1,000 rows, of fused
Adam at 1e-3 falling to 0 as a cosine, batches of 256; the weights that are best on a tenth of the rows. Told are the mean
negative log-likelihood of the test rows in nats, of standardized columns, its standard error over the splits, and the
median of processor seconds, on one thread each: of leat's whole process, of zuko's training alone. Of Student's t with 1
and 2 degrees, which are asked for by name and want --options "--base student-t", told is how much worse than the truth.

Needs NumPy and scikit-learn, and torch and zuko unless --rivals is empty.
"""
import argparse
import functools
import math
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy

ROWS, FRESH = 10_000, 20_000
pi = numpy.pi


# ---- sets: a function of a random generator and a number of rows ----------------------------------------------------
def checkerboard(r, n):
    x = 4 * r.random(n) - 2
    y = r.random(n) - 2 * r.integers(2, size=n)
    return 2 * numpy.stack([x, y + numpy.abs(numpy.floor(x) % 2)], 1)


def spirals(r, n):
    t = 3 * pi * numpy.sqrt(r.random(n))
    points = numpy.stack([-t * numpy.cos(t) + 0.5 * r.random(n), t * numpy.sin(t) + 0.5 * r.random(n)], 1) / 3
    return points * numpy.where(numpy.arange(n) < n // 2, 1, -1)[:, None] + 0.1 * r.standard_normal((n, 2))


def moons(r, n):
    t, upper = pi * r.random(n), r.random(n) < 0.5
    points = numpy.where(upper[:, None], numpy.stack([numpy.cos(t), numpy.sin(t)], 1),
                         numpy.stack([1 - numpy.cos(t), 0.5 - numpy.sin(t)], 1))
    return points + 0.05 * r.standard_normal((n, 2))


def pinwheel(r, n):
    x, y = 1 + 0.3 * r.standard_normal(n), 0.1 * r.standard_normal(n)
    t = 2 * pi * r.integers(5, size=n) / 5 + 0.25 * numpy.exp(x)
    return 2 * numpy.stack([x * numpy.cos(t) + y * numpy.sin(t), y * numpy.cos(t) - x * numpy.sin(t)], 1)


def student(degrees, columns):
    return lambda r, n: r.standard_t(degrees, (n, columns))


def clusters(r, n):
    return r.standard_normal((n, 8)) + numpy.where(r.random(n) < 0.5, 10, -10)[:, None]


def real(name):
    def table(r):
        from sklearn import datasets
        data = getattr(datasets, f"load_{name}")().data.astype(float)
        if name == "digits":
            data += r.random(data.shape)
        rows = r.permutation(len(data))
        return data[rows[len(rows) // 5:]], data[rows[:len(rows) // 5]]
    return table


def made(function, rows=ROWS):
    return lambda r: (function(r, rows), function(r, FRESH))


SETS = {
    "checkerboard": made(checkerboard), "spirals": made(spirals), "breast_cancer": real("breast_cancer"),
    "moons": made(moons), "pinwheel": made(pinwheel), "wine": real("wine"), "digits": real("digits"),
    "checkerboard_2000": made(checkerboard, 2000), "student": made(student(3, 5)), "clusters": made(clusters),
}
ON_DEMAND = {f"student_{degrees}_{columns}": degrees for degrees in (1, 2) for columns in (1, 5)}
SETS |= {name: made(student(degrees, int(name[-1]))) for name, degrees in ON_DEMAND.items()}


def truth(degrees, train, test):
    constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * pi) / 2
    log_density = constant - (degrees + 1) / 2 * numpy.log1p(test ** 2 / degrees)
    return -log_density.sum(1).mean() - numpy.log(train.std(0)).sum()


# ---- two ways to a density -------------------------------------------------------------------------------------------
def seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fit_leat(build, words, train, test, seed):
    with tempfile.TemporaryDirectory() as folder:
        numpy.save(f"{folder}/train.npy", train)
        numpy.save(f"{folder}/test.npy", test)
        leat, model = os.path.join(build, "apps", "leat"), f"{folder}/model"
        start = seconds_of_children()
        subprocess.run([leat, "fit", f"{folder}/train.npy", "-o", model, "--seed", str(seed), "--threads", "1", "--quiet",
                        *words], check=True)
        seconds = seconds_of_children() - start
        said = subprocess.run([leat, "score", model, f"{folder}/test.npy", "--mean"], check=True, capture_output=True)
    return -float(said.stdout) - numpy.log(train.std(0)).sum(), seconds


def fit_zuko(kind, train, test, seed):
    import torch
    import zuko
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    mean, sd = train.mean(0), train.std(0)
    rows, fresh = (torch.tensor((part - mean) / sd, dtype=torch.float32) for part in (train, test))
    order = torch.randperm(len(rows))
    held, rows = rows[order[:len(rows) // 10]], rows[order[len(rows) // 10:]]
    flow = {"nsf": lambda d: zuko.flows.NSF(d, transforms=5, bins=8, hidden_features=(128, 128)),
            "maf": lambda d: zuko.flows.MAF(d, transforms=5, hidden_features=(128, 128)),
            "realnvp": lambda d: zuko.flows.RealNVP(d, transforms=8, hidden_features=(128, 128))}[kind](train.shape[1])
    epochs = 200 if len(train) < 1000 else 60
    adam = torch.optim.Adam(flow.parameters(), lr=1e-3, fused=True)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * -(-len(rows) // 256))
    best, kept = float("inf"), None
    start = time.process_time()
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(256):
            adam.zero_grad()
            (-flow().log_prob(rows[batch]).mean()).backward()
            adam.step()
            cosine.step()
        with torch.no_grad():
            loss = -flow().log_prob(held).mean().item()
        if loss < best:
            best, kept = loss, {name: value.clone() for name, value in flow.state_dict().items()}
    seconds = time.process_time() - start
    flow.load_state_dict(kept)
    with torch.no_grad():
        return -flow().log_prob(fresh).mean().item(), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--sets", default=",".join(name for name in SETS if name not in ON_DEMAND))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--rivals", default="nsf,maf,realnvp")
    parser.add_argument("--options", default="", help="more of leat fit's")
    options = parser.parse_args()
    rivals = [kind for kind in options.rivals.split(",") if kind]
    print("| set | rows | columns | leat: nats, seconds |" + "".join(f" zuko {kind} |" for kind in rivals))
    print("|---|---|---|---|" + "---|" * len(rivals), flush=True)
    for name in options.sets.split(","):
        results = [[] for _ in range(1 + len(rivals))]
        for seed in range(options.splits):
            train, test = SETS[name](numpy.random.default_rng(seed))
            base = truth(ON_DEMAND[name], train, test) if name in ON_DEMAND else 0
            runs = [functools.partial(fit_leat, options.build, options.options.split(), train, test, seed)]
            runs += [functools.partial(fit_zuko, kind, train, test, seed) for kind in rivals]
            for told, run in zip(results, runs):
                nats, seconds = run()
                told.append((nats - base, seconds))
        cells = []
        for told in results:
            nats, seconds = numpy.array(told).T
            error = nats.std(ddof=1) / len(nats) ** 0.5 if len(nats) > 1 else float("nan")
            cells.append(f"{nats.mean():.3f} ± {error:.3f}, {numpy.median(seconds):.1f} s")
        print(f"| {name} | {len(train)} | {train.shape[1]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
