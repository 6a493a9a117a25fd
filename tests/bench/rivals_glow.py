"""Glow in PyTorch, for compare.py: `rivals_glow.py KIND glow_28 THREADS SEED`, KIND one of

glow             as it is
glow_last        images and weights in channels_last
glow_compiled    that, and the loss goes through torch.compile, which has compiled before the clock starts

All without what costs time: actnorm's scales are put into the weights, 1x1 convolutions are one matrix put together
from its factors, a border is a constant image that is padded with zeros, Adam is fused.
"""
import math
import sys

import numpy
import torch
import torch.nn.functional as F
from torch import nn

import jobs

ROWS, SIDE, LEVELS, STEPS, HIDDEN = 64, 28, 2, 8, 128


class Conv(nn.Module):
    """exp(log_scale) conv(x) + bias, or for the last exp(3 log_scale) (conv(x) + bias); 3x3 ones see the border."""

    def __init__(self, inputs, outputs, size, last=False):
        super().__init__()
        self.size, self.last = size, last
        start = torch.zeros if last else lambda *shape: 0.05 * torch.randn(*shape)
        self.weight = nn.Parameter(start(outputs, inputs + (size > 1), size, size))
        self.log_scale, self.bias = nn.Parameter(torch.zeros(outputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        scale = torch.exp(3 * self.log_scale if self.last else self.log_scale)
        weight = self.weight * scale[:, None, None, None]
        bias = self.bias * scale if self.last else self.bias
        if self.size == 1:
            return F.conv2d(x, weight, bias)
        bias = bias + weight[:, -1].sum((1, 2))
        inside = -x.new_ones(1, 1, *x.shape[2:])
        if x.shape[1] < len(weight):
            return F.conv2d(torch.cat([x, inside.expand(len(x), -1, -1, -1)], 1), weight, bias, padding=1)
        return F.conv2d(x, weight[:, :-1], padding=1) + F.conv2d(inside, weight[:, -1:], bias, padding=1)


class Step(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.log_scale, self.shift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.lower, self.upper = nn.Parameter(torch.zeros(channels, channels)), nn.Parameter(torch.zeros(channels, channels))
        self.log_diagonal, self.bias = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("order", torch.eye(channels)[torch.randperm(channels)])
        self.net = nn.Sequential(Conv(half, HIDDEN, 3), nn.ReLU(), Conv(HIDDEN, HIDDEN, 1), nn.ReLU(),
                                 Conv(HIDDEN, 2 * half, 3, last=True))

    def forward(self, x):
        identity = torch.eye(x.shape[1])
        w = self.order @ (self.lower.tril(-1) + identity) @ (self.upper.triu(1) + identity * self.log_diagonal.exp())
        x = x * self.log_scale.exp()[:, None, None] + self.shift[:, None, None]
        x = F.conv2d(x, w[:, :, None, None], self.bias)
        logdet = x[0, 0].numel() * (self.log_scale.sum() + self.log_diagonal.sum())
        a, b = x.chunk(2, 1)
        r, t = self.net(a).chunk(2, 1)
        return torch.cat([a, (b + t) * torch.sigmoid(r + 2)], 1), logdet + F.logsigmoid(r + 2).sum((1, 2, 3))


class Level(nn.Module):
    def __init__(self, channels, levels):
        super().__init__()
        self.steps = nn.ModuleList(Step(channels) for _ in range(STEPS))
        self.kept = channels // 2 if levels > 1 else 0
        self.prior = Conv(self.kept, 2 * (channels - self.kept), 3, last=True)
        self.inner = Level(4 * self.kept, levels - 1) if self.kept else None

    def forward(self, x):
        total = 0
        for step in self.steps:
            x, logdet = step(x)
            total = total + logdet
        kept, leaves = x[:, :self.kept], x[:, self.kept:]
        log_sd, mean = self.prior(kept).chunk(2, 1)
        z = (leaves - mean) * torch.exp(-log_sd)
        total = total - (0.5 * z.square() + log_sd + 0.5 * math.log(2 * math.pi)).sum((1, 2, 3))
        return total + self.inner(F.pixel_unshuffle(kept, 2)) if self.kept else total


class Glow(nn.Module):
    def __init__(self):
        super().__init__()
        self.level = Level(4, LEVELS)

    def forward(self, x):
        v = (x + torch.rand_like(x)) / 256
        return -(self.level(F.pixel_unshuffle(v, 2)) - SIDE * SIDE * math.log(256)).mean()


def main():
    kind, job, threads, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    images = numpy.random.default_rng(seed).integers(0, 256, (ROWS, 1, SIDE, SIDE))
    x, flow = torch.from_numpy(images.astype(numpy.float32)), Glow()
    if kind != "glow":
        x, flow = x.to(memory_format=torch.channels_last), flow.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(flow.parameters(), lr=jobs.LR, fused=True)
    loss_of = torch.compile(flow, dynamic=False) if kind == "glow_compiled" else flow

    def step():
        adam.zero_grad()
        loss = loss_of(x)
        loss.backward()
        adam.step()
        return loss

    seconds, loss = jobs.median_seconds(step, jobs.STEPS[job], 3)
    jobs.tell(sum(p.numel() for p in flow.parameters()), seconds, loss.item())


if __name__ == "__main__":
    main()
