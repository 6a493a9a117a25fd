"""The jobs of compare.py in PyTorch: `rivals_torch.py KIND JOB THREADS SEED`, KIND one of

notebook   as one writes it down: masks by boolean indexing, a DataLoader that shuffles, Adam with its defaults
tuned      without what costs time there: the kept and the moved columns go through the flow as two tensors, batches
           are cut from one shuffled tensor, Adam is fused, a million rows go through in parts
compiled   tuned, and loss, sampling and scoring go through torch.compile, which has compiled before the clock starts
"""
import math
import sys

import torch
from torch import nn
from torch.nn import functional

import jobs


def mlp(inputs, hidden, outputs):
    widths = (inputs, *hidden, outputs)
    parts = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*parts[:-1])


class Logistic:
    def __init__(self, dim):
        self.dim = dim

    def log_prob(self, z):
        return -(functional.softplus(z) + functional.softplus(-z)).sum(1)


class Coupling(nn.Module):
    def __init__(self, mask, hidden, affine):
        super().__init__()
        self.register_buffer("mask", mask)
        kept = int(mask.sum())
        moved = len(mask) - kept
        self.snet = mlp(kept, hidden, moved) if affine else None
        self.tnet = mlp(kept, hidden, moved)

    def scale_and_shift(self, kept):
        return torch.tanh(self.snet(kept)) if self.snet else None, self.tnet(kept)

    def forward(self, x, reverse=False):
        rest = 1 - self.mask
        kept = (x * self.mask)[:, self.mask.bool()]
        moved = (x * rest)[:, rest.bool()]
        s, t = self.scale_and_shift(kept)
        if s is None:
            moved = moved - t if reverse else moved + t
            logdet = x.new_zeros(len(x))
        elif reverse:
            moved, logdet = (moved - t) * torch.exp(-s), -s.sum(1)
        else:
            moved, logdet = moved * torch.exp(s) + t, s.sum(1)
        y = x.clone()
        y[:, rest.bool()] = moved
        return y, logdet


class Flow(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        first = (torch.arange(model.dim) < model.dim // 2 if model.paper else torch.arange(model.dim) % 2).float()
        self.layers = nn.ModuleList(
            Coupling(first if model.paper or i % 2 == 0 else 1 - first, model.hidden, model.affine)
            for i in range(model.couplings))
        if model.paper:
            self.log_scale = nn.Parameter(torch.zeros(model.dim))
            self.prior = Logistic(model.dim)
            for part in self.layers.modules():
                if isinstance(part, nn.Linear):
                    nn.init.uniform_(part.weight, -0.01, 0.01)
                    nn.init.zeros_(part.bias)
        else:
            self.prior = torch.distributions.MultivariateNormal(torch.zeros(model.dim), torch.eye(model.dim))

    def log_prob(self, x):
        logdet = x.new_zeros(len(x))
        for layer in self.layers:
            x, term = layer(x)
            logdet = logdet + term
            if self.model.paper:
                x = x.flip(1)
        if self.model.paper:
            x, logdet = x * torch.exp(self.log_scale), logdet + self.log_scale.sum()
        return self.prior.log_prob(x) + logdet

    def sample(self, n):
        x = self.prior.sample((n,))
        for layer in reversed(self.layers):
            x, _ = layer(x, reverse=True)
        return x

    def loss(self, x):
        return -self.log_prob(x).mean()


class TunedFlow(Flow):
    """The same function; the columns that a coupling keeps and moves are two tensors, which trade places after it."""

    def split(self, x):
        if self.model.paper:
            return x[:, :self.model.dim // 2], x[:, self.model.dim // 2:]
        return x[:, 1::2], x[:, 0::2]

    def log_prob(self, x):
        kept, moved = self.split(x)
        logdet = 0
        for layer in self.layers:
            s, t = layer.scale_and_shift(kept)
            if s is None:
                moved = moved + t
            else:
                moved, logdet = torch.addcmul(t, moved, torch.exp(s)), logdet + s.sum(1)
            kept, moved = (moved.flip(1), kept.flip(1)) if self.model.paper else (moved, kept)
        if self.model.paper:
            z = torch.cat((kept, moved), 1) * torch.exp(self.log_scale)
            return self.log_scale.sum() - (functional.softplus(z) + functional.softplus(-z)).sum(1)
        squares = kept.square().sum(1) + moved.square().sum(1)
        return logdet - 0.5 * (squares + self.model.dim * math.log(2 * math.pi))

    def decode(self, z):
        """Latents to data; for the notebook's NICE, the only flow that these jobs sample."""
        kept, moved = self.split(z)
        for layer in reversed(self.layers):
            kept, moved = moved, kept
            moved = moved - layer.tnet(kept)
        return torch.cat((moved, kept), 1)

    def sample(self, n):
        return self.decode(torch.randn(n, self.model.dim))


# ---- training -------------------------------------------------------------------------------------------------------

class Trainer:
    def __init__(self, kind, flow):
        self.flow, self.kind = flow, kind
        self.adam = torch.optim.Adam(flow.parameters(), lr=jobs.LR, fused=kind != "notebook" or None)
        self.loss = torch.compile(flow.loss, dynamic=False) if kind == "compiled" else flow.loss

    def warm(self, *batches):
        """Lets torch.compile see every shape, and leaves the weights as they are."""
        for batch in batches * 2 if self.kind == "compiled" else ():
            self.loss(batch).backward()
            self.adam.zero_grad()

    def step(self, batch):
        self.adam.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        self.adam.step()
        return loss

    def epochs_of_notebook(self, x):
        loader = torch.utils.data.DataLoader(x, batch_size=jobs.BATCH, shuffle=True)
        for _ in range(jobs.EPOCHS):
            total = 0
            for batch in loader:
                total += self.step(batch).item() * len(batch)
        return total / len(x)

    def epochs(self, x):
        for _ in range(jobs.EPOCHS):
            total = torch.zeros(())
            for batch in x[torch.randperm(len(x))].split(jobs.BATCH):
                total += self.step(batch).detach() * len(batch)
        return total.item() / len(x)


def train_moons(kind, flow, seed):
    x = torch.from_numpy(jobs.moons(seed))
    trainer = Trainer(kind, flow)  # before the clock starts: the first optimiser of a process imports for a second
    trainer.warm(x[:jobs.BATCH], x[:len(x) % jobs.BATCH])
    return jobs.seconds_of(lambda: (trainer.epochs_of_notebook if kind == "notebook" else trainer.epochs)(x))


def one_step(kind, flow, job, seed):
    batch = torch.from_numpy(jobs.table(job, seed))
    trainer = Trainer(kind, flow)
    seconds, loss = jobs.median_seconds(lambda: trainer.step(batch), jobs.STEPS[job], 3)
    return seconds, loss.item()


# ---- sampling and scoring -------------------------------------------------------------------------------------------

def in_parts(call, into, *inputs):
    """Fills a tensor part by part; call gets a part of each input."""
    for out, *rows in zip(into.split(jobs.PART), *(x.split(jobs.PART) for x in inputs)):
        out.copy_(call(*rows))
    return into


def infer(kind, flow, job, seed):
    compiled = torch.compile if kind == "compiled" else lambda f, **options: f
    if job == "sample_one":
        sample = compiled(lambda: flow.sample(1))
        return jobs.median_seconds(sample, 1000, 20)[0]
    if job == "start_up":
        return jobs.seconds_of(lambda: flow.sample(1))[0]
    if job == "sample_million":
        if kind == "notebook":
            return jobs.seconds_of(lambda: flow.sample(jobs.MILLION))[0]
        sample = compiled(lambda: flow.sample(jobs.PART))
        sample(), sample()
        return jobs.seconds_of(lambda: in_parts(sample, torch.empty(jobs.MILLION, 2)))[0]
    x = torch.from_numpy(jobs.table(job, seed))
    if kind == "notebook":
        return jobs.seconds_of(lambda: flow.log_prob(x))[0]
    score = compiled(flow.log_prob, dynamic=False)
    score(x[:jobs.PART]), score(x[:jobs.PART])
    return jobs.seconds_of(lambda: in_parts(score, torch.empty(jobs.MILLION), x))[0]


def main():
    kind, job, threads, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    flow = (Flow if kind == "notebook" else TunedFlow)(jobs.MODELS[job])
    parameters = sum(p.numel() for p in flow.parameters())
    if "moons" in job:
        jobs.tell(parameters, *train_moons(kind, flow, seed))
    elif job in jobs.STEPS:
        jobs.tell(parameters, *one_step(kind, flow, job, seed))
    else:
        with torch.no_grad() if kind == "notebook" else torch.inference_mode():
            jobs.tell(parameters, infer(kind, flow, job, seed))


if __name__ == "__main__":
    main()
