#!/usr/bin/env python3
"""Draws what bench_growth has measured: plot_growth.py growth.csv growth.png. Needs Matplotlib."""
import collections
import csv
import sys

from matplotlib import pyplot


def main():
    source, target = sys.argv[1:]
    sweeps = collections.defaultdict(list)
    with open(source, encoding="ascii") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            sweeps[row["sweep"]].append([float(row[key]) for key in ("size", "seconds", "tape_peak")])
    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(11, 4.5))
    for name, rows in sweeps.items():
        sizes, seconds, peak = zip(*rows)
        style = "o--" if name.startswith("recompute") else "o-"
        time.loglog(sizes, [1e3 * s for s in seconds], style, label=name)
        memory.loglog(sizes, [1e-6 * p for p in peak], style, label=name)
    time.set(title="A training step", xlabel="size", ylabel="ms")
    memory.set(title="The tape's peak", xlabel="size", ylabel="MB")
    time.legend()
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main()
