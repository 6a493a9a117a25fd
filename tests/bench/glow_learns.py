#!/usr/bin/env python3
"""Does Glow learn as well here as in PyTorch? The same model, start, optimiser and number of steps on the same images.

    tests/bench/glow_learns.py build /usr/share/datasets/fashion-mnist [--subset 4000 --epochs 6 --seeds 2 --threads 2]

Trains leat's train_glow and rivals_glow.py's model (2 levels of 4 steps, width 32, logit, Adam up to 0.001 in the first epoch
and down to 0 as a cosine, batches of 16) from the weights that leat has after its first step, and the best epoch's weights on validation images count;
prints the bits per dimension of test images, a fifth as many as those that it trains on: each seed's, and the means.
"""
import argparse
import copy
import gzip
import json
import math
import os
import subprocess
import tempfile

import numpy
import torch
from safetensors.torch import load_file

import rivals_glow

ALPHA, BATCH, LR, DRAWS = 0.05, 16, 0.001, 4
rivals_glow.STEPS, rivals_glow.HIDDEN = 4, 32


def images(folder, name, count, first=0):
    path = os.path.join(folder, name + "-images-idx3-ubyte")
    raw = gzip.open(path + ".gz").read() if os.path.exists(path + ".gz") else open(path, "rb").read()
    pixels = numpy.frombuffer(raw, numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    return torch.from_numpy(pixels[first:first + count].astype(numpy.float32))


def prepare(x):
    """The squeezed logit of dequantized pixels, and its log-determinant."""
    v = ALPHA + (1 - 2 * ALPHA) * (x + torch.rand_like(x)) / 256
    logdet = (math.log(1 - 2 * ALPHA) - v.log() - (1 - v).log()).sum((1, 2, 3))
    return torch.nn.functional.pixel_unshuffle(v.log() - (1 - v).log(), 2), logdet


def bits(flow, x):
    y, logdet = prepare(x)
    return (math.log(256) - (flow.level(y) + logdet) / 784) / math.log(2)


@torch.no_grad()
def start_from(flow, file):
    """The weights of leat's model, whose actnorms have seen a batch."""
    def put(part, name, **names):
        for own, theirs in names.items():
            getattr(part, own).copy_(named[f"{name}.{theirs}"])

    named, level, at = load_file(file), flow.level, "model.layers.3.layers."
    conv = {own: own for own in ("weight", "log_scale", "bias")}
    while level:
        for i, step in enumerate(level.steps):
            put(step, f"{at}{3 * i + 1}", log_scale="log_scale", shift="bias")
            put(step, f"{at}{3 * i + 2}", lower="lower", upper="upper", log_diagonal="log_diagonal", bias="bias")
            step.order.copy_(torch.eye(len(step.order))[named[f"{at}{3 * i + 2}.permutation.order"].long()])
            for j in 0, 2, 4:
                put(step.net[j], f"{at}{3 * i + 3}.net.{j}", **conv)
        put(level.prior, f"{at}{3 * len(level.steps) + 1}.of.net", **conv)
        level, at = level.inner, f"{at}{3 * len(level.steps) + 2}.inner.layers."


def in_pytorch(o, seed):
    """Starts where leat is after the first step, with optimiser's averages of 0."""
    torch.manual_seed(seed)
    torch.set_num_threads(o.threads)
    train, test = images(o.images, "train", o.subset), images(o.images, "t10k", o.subset // 5)
    validation = images(o.images, "train", o.subset // 5, 50000)
    flow, best, weights = rivals_glow.Glow(), math.inf, None
    with tempfile.TemporaryDirectory() as out:
        train_glow(o, out, seed, "--minutes", "0.0001")
        start_from(flow, os.path.join(out, "checkpoint.safetensors"))
    adam = torch.optim.Adam(flow.parameters(), lr=LR, fused=True)
    epoch = -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: step / epoch if step < epoch else 0.5 + 0.5 * math.cos(
        math.pi * (step - epoch) / ((o.epochs - 1) * epoch)))
    for _ in range(o.epochs):
        for batch in torch.randperm(len(train)).split(BATCH):
            adam.zero_grad()
            bits(flow, train[batch]).mean().backward()
            adam.step()
            schedule.step()
        with torch.no_grad():
            loss = bits(flow, validation).mean().item()
        if loss < best:
            best, weights = loss, copy.deepcopy(flow.state_dict())
    flow.load_state_dict(weights)
    with torch.no_grad():
        return sum(bits(flow, test).mean().item() for _ in range(DRAWS)) / DRAWS


def train_glow(o, out, seed, *words):
    subprocess.run([os.path.join(o.build, "apps", "train_glow"), "--data", o.images, "--out", out, "--quiet",
                    "--levels", "2", "--steps", str(rivals_glow.STEPS), "--width", str(rivals_glow.HIDDEN),
                    "--logit", str(ALPHA), "--batch", str(BATCH), "--lr", str(LR), "--schedule", "warmup-cosine",
                    "--draws", str(DRAWS), "--subset", str(o.subset), "--epochs", str(o.epochs), "--seed", str(seed),
                    "--threads", str(o.threads), *words], check=True, capture_output=True)


def in_leat(o, seed):
    with tempfile.TemporaryDirectory() as out:
        train_glow(o, out, seed)
        said = subprocess.run([os.path.join(o.build, "apps", "leat"), "inspect", os.path.join(out, "model.safetensors"),
                               "--json"], check=True, capture_output=True, text=True)
        return find(json.loads(said.stdout), "test_bits_per_dimension")


def find(tree, key):
    if isinstance(tree, dict):
        return tree[key] if key in tree else next((v for v in map(lambda t: find(t, key), tree.values()) if v), None)
    return None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("build")
    options.add_argument("images")
    for name, default in ("subset", 4000), ("epochs", 6), ("seeds", 2), ("threads", 2):
        options.add_argument("--" + name, type=int, default=default)
    o = options.parse_args()
    results = {"leat": [], "PyTorch": []}
    for seed in range(o.seeds):
        for name, train in ("leat", in_leat), ("PyTorch", in_pytorch):
            results[name].append(train(o, seed))
            print("%-8s seed %d: %.4f bits per dimension" % (name, seed, results[name][-1]), flush=True)
    mean = {name: sum(of) / len(of) for name, of in results.items()}
    print("means: leat %.4f, PyTorch %.4f, difference %+.4f" % (mean["leat"], mean["PyTorch"], mean["leat"] - mean["PyTorch"]))


if __name__ == "__main__":
    main()
