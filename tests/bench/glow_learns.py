#!/usr/bin/env python3
"""Does Glow learn as well here as in PyTorch? The same model, start, optimiser and number of steps on the same images.

    tests/bench/glow_learns.py build /usr/share/datasets/fashion-mnist [--subset 4000 --epochs 6 --seeds 2 --threads 2]

Trains leat's train_glow and rivals_glow.py's model (2 levels of 4 steps, width 32, logit, Adam 0.001, batches of 16; actnorms
start from the first batch, and the best epoch's weights on validation images count) and prints the bits per dimension of test
images, a fifth as many as those that it trains on: each seed's, and the means.
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
def start(flow, x):
    """Features behind an actnorm have mean 0 and deviation 1 on the first batch."""
    level, x = flow.level, prepare(x)[0]
    while level:
        for step in level.steps:
            mean, sd = x.mean((0, 2, 3)), x.std((0, 2, 3), unbiased=False) + 1e-6
            step.log_scale.copy_(-sd.log())
            step.shift.copy_(-mean / sd)
            h = x * step.log_scale.exp()[:, None, None] + step.shift[:, None, None]
            h = torch.nn.functional.conv2d(h, step.order[:, :, None, None]).chunk(2, 1)[0]
            for conv in (step.net[0], step.net[2]):
                raw = conv(h)
                mean, sd = raw.mean((0, 2, 3)), raw.std((0, 2, 3), unbiased=False) + 1e-6
                conv.log_scale.copy_(-sd.log())
                conv.bias.copy_(-mean / sd)
                h = torch.relu(conv(h))
            x = step(x)[0]
        x = torch.nn.functional.pixel_unshuffle(x[:, :level.kept], 2) if level.inner else x
        level = level.inner


def in_pytorch(o, seed):
    torch.manual_seed(seed)
    torch.set_num_threads(o.threads)
    train, test = images(o.images, "train", o.subset), images(o.images, "t10k", o.subset // 5)
    validation = images(o.images, "train", o.subset // 5, 50000)
    flow, best, weights = rivals_glow.Glow(), math.inf, None
    start(flow, train[torch.randperm(len(train))[:BATCH]])
    adam = torch.optim.Adam(flow.parameters(), lr=LR, fused=True)
    for _ in range(o.epochs):
        for batch in torch.randperm(len(train)).split(BATCH):
            adam.zero_grad()
            bits(flow, train[batch]).mean().backward()
            adam.step()
        with torch.no_grad():
            loss = bits(flow, validation).mean().item()
        if loss < best:
            best, weights = loss, copy.deepcopy(flow.state_dict())
    flow.load_state_dict(weights)
    with torch.no_grad():
        return sum(bits(flow, test).mean().item() for _ in range(DRAWS)) / DRAWS


def in_leat(o, seed):
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([os.path.join(o.build, "apps", "train_glow"), "--data", o.images, "--out", out, "--quiet",
                        "--levels", "2", "--steps", str(rivals_glow.STEPS), "--width", str(rivals_glow.HIDDEN),
                        "--logit", str(ALPHA), "--batch", str(BATCH), "--lr", str(LR), "--draws", str(DRAWS),
                        "--subset", str(o.subset), "--epochs", str(o.epochs), "--seed", str(seed),
                        "--threads", str(o.threads)], check=True)
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
