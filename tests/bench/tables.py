#!/usr/bin/env python3
"""Held-out log-likelihood of RealNVP on real tables: leat against PyTorch, from the same weights, over ten splits.

    tables.py <build folder> [--splits 10] [--epochs 60]

For scikit-learn's wine and breast_cancer each split holds out a fifth of the rows. Columns are standardized by the
training rows. leat writes the starting weights (a run of 0 epochs); both train from them with Adam for the same number of
steps, in batches of 32 rows, each with its own shuffles. What is compared is the mean log-likelihood of the held-out
rows: leat passes if it is not lower than PyTorch's by more than two standard errors of the difference over the splits.

Needs torch, safetensors and scikit-learn.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from safetensors.torch import load_file
from sklearn import datasets
from torch import nn

BATCH, HIDDEN, COUPLINGS, LR = 32, 64, 6, 1e-3


def mlp(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
                         nn.Linear(HIDDEN, outputs))


class Coupling(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)
        kept = int(mask.sum())
        self.snet, self.tnet = mlp(kept, len(mask) - kept), mlp(kept, len(mask) - kept)

    def forward(self, x):
        keep = self.mask.bool()
        s, t = torch.tanh(self.snet(x[:, keep])), self.tnet(x[:, keep])
        y = x.clone()
        y[:, ~keep] = x[:, ~keep] * s.exp() + t
        return y, s.sum(1)


class RealNVP(nn.Module):
    def __init__(self, masks):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(mask) for mask in masks)

    def log_prob(self, x):
        total = 0
        for layer in self.layers:
            x, logdet = layer(x)
            total = total + logdet
        return total - 0.5 * (x.square().sum(1) + x.shape[1] * numpy.log(2 * numpy.pi))


def train_pytorch(weights, train, test, epochs, seed):
    masks = [weights[f"layers.{i}.mask"] for i in range(COUPLINGS)]
    model = RealNVP(masks)
    model.load_state_dict(weights)
    adam = torch.optim.Adam(model.parameters(), lr=LR)
    torch.manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(train)).split(BATCH):
            loss = -model.log_prob(train[rows]).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        return model.log_prob(test).mean().item()


class Leat:
    def __init__(self, build, folder):
        self.apps, self.folder = os.path.join(build, "apps"), folder

    def run(self, program, *words):
        done = subprocess.run([os.path.join(self.apps, program), *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    def train(self, train, epochs, seed):
        """The model's file after so many epochs; 0: as it starts."""
        data, out = os.path.join(self.folder, "train.npy"), os.path.join(self.folder, f"out{epochs}")
        numpy.save(data, train.numpy())
        self.run("train_realnvp", "--data", data, "--no-standardize", "--epochs", epochs, "--batch", BATCH,
                 "--couplings", COUPLINGS, "--hidden", f"{HIDDEN},{HIDDEN}", "--lr", LR, "--seed", seed, "--draw", 0,
                 "--out", out, "--quiet")
        return os.path.join(out, "model.safetensors")

    def score(self, model, test):
        data = os.path.join(self.folder, "test.npy")
        numpy.save(data, test.numpy())
        return float(self.run("leat", "score", model, data, "--mean"))


def splits(name, count):
    table = getattr(datasets, f"load_{name}")().data.astype(numpy.float64)
    for seed in range(count):
        order = numpy.random.default_rng(seed).permutation(len(table))
        test, train = table[order[:len(table) // 5]], table[order[len(table) // 5:]]
        mean, sd = train.mean(0), train.std(0)
        yield seed, [torch.tensor((part - mean) / sd, dtype=torch.float32) for part in (train, test)]


def compare(name, build, count, epochs):
    leat_scores, torch_scores = [], []
    for seed, (train, test) in splits(name, count):
        with tempfile.TemporaryDirectory() as folder:
            leat = Leat(build, folder)
            start = load_file(leat.train(train, 0, seed))
            leat_scores.append(leat.score(leat.train(train, epochs, seed), test))
        torch_scores.append(train_pytorch(start, train, test, epochs, seed))
    difference = numpy.array(leat_scores) - numpy.array(torch_scores)
    error = difference.std(ddof=1) / numpy.sqrt(count)
    good = difference.mean() >= -2 * error
    print(f"{name}: leat {numpy.mean(leat_scores):.3f}, PyTorch {numpy.mean(torch_scores):.3f} nats a row; difference "
          f"{difference.mean():+.3f}, standard error {error:.3f}: {'ok' if good else 'LOWER'}")
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = [compare(name, options.build, options.splits, options.epochs) for name in ("wine", "breast_cancer")]
    sys.exit(0 if all(results) else 1)
