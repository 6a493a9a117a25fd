#!/usr/bin/env python3
"""Trains the notebook's NICE in PyTorch and in leat, and prints how long both take, as a Markdown table.

    compare.py BUILD [--rounds N] [--threads 1,2] [--epochs N]     BUILD: a build folder with apps/train_nice

PyTorch runs the job in two ways: `notebook`, as one writes it down (a DataLoader that shuffles, Adam with its
defaults), and `tuned`, without what costs time there (batches cut from one shuffled tensor, fused Adam, losses summed
in a tensor). Every run is a process of its own, the kinds take turns, and the medians are compared, so that what else
the machine does hits all of them alike. Needs torch and scikit-learn.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

KINDS = ("notebook", "tuned", "leat")


# ---- the job in PyTorch, in a process of its own --------------------------------------------------------------------

def make_flow(torch):
    nn = torch.nn

    class Coupling(nn.Module):
        def __init__(self, keeps):
            super().__init__()
            self.register_buffer("mask", torch.tensor(keeps, dtype=torch.float32))
            self.kept = int(self.mask.sum())
            widths = (self.kept, 128, 128, len(keeps) - self.kept)
            self.net = nn.Sequential(nn.Linear(widths[0], widths[1]), nn.ReLU(), nn.Linear(widths[1], widths[2]),
                                     nn.ReLU(), nn.Linear(widths[2], widths[3]))

        def forward(self, x):
            keep, move = self.mask.bool(), (1 - self.mask).bool()
            z = x.clone()
            z[:, move] = x[:, move] + self.net(x[:, keep])
            return z, x.new_zeros(len(x))

    class Nice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Coupling([0.0, 1.0] if i % 2 == 0 else [1.0, 0.0]) for i in range(6))
            self.base = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))

        def loss(self, x):
            logdet = x.new_zeros(len(x))
            for layer in self.layers:
                x, term = layer(x)
                logdet = logdet + term
            return -(self.base.log_prob(x) + logdet).mean()

    return Nice()


def step(flow, adam, batch):
    adam.zero_grad()
    loss = flow.loss(batch)
    loss.backward()
    adam.step()
    return loss


def train_notebook(torch, flow, adam, x, epochs):
    loader = torch.utils.data.DataLoader(x, batch_size=256, shuffle=True)
    for _ in range(epochs):
        mean = sum(step(flow, adam, batch).item() * len(batch) for batch in loader) / len(x)
    return mean


def train_tuned(torch, flow, adam, x, epochs):
    for _ in range(epochs):
        total = torch.zeros(())
        for batch in x[torch.randperm(len(x))].split(256):
            total += step(flow, adam, batch).detach() * len(batch)
    return total.item() / len(x)


def run_torch(kind, threads, seed, epochs):
    import torch
    from sklearn.datasets import make_moons
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    points, _ = make_moons(n_samples=10000, noise=0.05, random_state=seed)
    x = torch.tensor(points, dtype=torch.float32)
    flow = make_flow(torch)
    # before the clock starts: the first optimiser of a process imports for about a second
    adam = torch.optim.Adam(flow.parameters(), lr=1e-3, fused=kind == "tuned" or None)
    start = time.perf_counter()
    loss = (train_notebook if kind == "notebook" else train_tuned)(torch, flow, adam, x, epochs)
    print(f"training seconds: {time.perf_counter() - start:.4f}\nfinal loss: {loss:.4f}", file=sys.stderr)


# ---- the comparison -------------------------------------------------------------------------------------------------

def command(kind, threads, seed, epochs, program, folder):
    if kind == "leat":
        return [program, "--quiet", "--threads", str(threads), "--seed", str(seed), "--epochs", str(epochs),
                "--out", folder]
    return [sys.executable, os.path.abspath(__file__), "--run", kind, str(threads), str(seed), str(epochs)]


def measure(args):
    """Seconds of training, and of the process from start to end."""
    start = time.perf_counter()
    done = subprocess.run(args, env={**os.environ, "LEAT_TIMING": "1"}, capture_output=True, text=True)
    whole = time.perf_counter() - start
    said = re.search(r"training seconds: ([0-9.]+)", done.stderr)
    if done.returncode or not said:
        sys.exit(f"{' '.join(args)}: exit code {done.returncode}\n{done.stderr}")
    return float(said.group(1)), whole


def medians(rounds, threads, epochs, program):
    times = {(kind, t): [] for t in threads for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(rounds):
            for (kind, t), seconds in times.items():
                seconds.append(measure(command(kind, t, seed, epochs, program, os.path.join(folder, "out"))))
                print(f"round {seed + 1}, {kind}, {t} threads: {seconds[-1][0]:.2f} s", file=sys.stderr)
    return {key: [statistics.median(column) for column in zip(*seconds)] for key, seconds in times.items()}


def report(times, rounds, threads, epochs):
    print(f"{epochs} epochs of 10,000 points in batches of 256; medians of {rounds} rounds. leat's process also draws "
          "samples and writes its files; PyTorch's makes the points with scikit-learn, and writes nothing.\n")
    print("| threads | program | training, s | to leat | whole process, s | to leat |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for t in threads:
        for kind in KINDS:
            (training, whole), (ours, ours_whole) = times[kind, t], times["leat", t]
            name = kind if kind == "leat" else f"PyTorch, {kind}"
            print(f"| {t} | {name} | {training:.2f} | {training / ours:.2f} | {whole:.2f} | {whole / ours_whole:.2f} |")


def main():
    if sys.argv[1:2] == ["--run"]:
        return run_torch(sys.argv[2], *map(int, sys.argv[3:6]))
    p = argparse.ArgumentParser()
    p.add_argument("build", help="build folder with apps/train_nice")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", default="1,2")
    p.add_argument("--epochs", type=int, default=10)
    a = p.parse_args()
    threads = [int(t) for t in a.threads.split(",")]
    program = os.path.join(a.build, "apps", "train_nice")
    if not os.path.exists(program):
        p.error(f"{program} is not there")
    report(medians(a.rounds, threads, a.epochs, program), a.rounds, threads, a.epochs)


if __name__ == "__main__":
    main()
