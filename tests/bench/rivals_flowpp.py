"""Flow++ in PyTorch, for compare.py: `rivals_flowpp.py KIND JOB THREADS SEED`, JOB flowpp_28 or flowpp_sample, KIND one of

flowpp             as it is
flowpp_last        images and weights in channels_last
flowpp_compiled    that, and the loss, or what conditions a coupling, goes through torch.compile, which has compiled
                   before the clock starts

All without what costs time: attention is PyTorch's own, a norm over features has no transposes in channels_last, Adam is
fused. A mixture's inverse starts between the least and the greatest root of single components and is halved as often as a
float has room for, then polished by one step of Newton's.
"""
import math
import sys

import numpy
import torch
import torch.nn.functional as F
from torch import nn

import jobs

ROWS, SIDE, FEATURES, BLOCKS, HEADS, COMPONENTS, COUPLINGS = 64, 28, 32, 2, 4, 32, (4, 2, 3)


class Conv(nn.Module):
    """With weight norm."""

    def __init__(self, inputs, outputs, size, scale=1.0):
        super().__init__()
        self.v = nn.Parameter(torch.randn(outputs, inputs, size, size) * scale / math.sqrt(inputs * size * size))
        self.g = nn.Parameter(self.v.detach().flatten(1).norm(dim=1).reshape(-1, 1, 1, 1))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x):
        return F.conv2d(x, torch._weight_norm(self.v, self.g, 0), self.bias, padding=self.v.shape[-1] // 2)


def concat_elu(x):
    return F.elu(torch.cat([x, -x], 1))


def norm(layer, x):
    return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        n = FEATURES
        self.conv, self.gate = Conv(2 * n, n, 3), Conv(2 * n, 2 * n, 1, 0.1)
        self.attention, self.attention_gate = Conv(n, 3 * n, 1), Conv(n, 2 * n, 1, 0.1)
        self.norm, self.attention_norm = nn.LayerNorm(n), nn.LayerNorm(n)

    def forward(self, x, position):
        x = norm(self.norm, x + F.glu(self.gate(concat_elu(self.conv(concat_elu(x)))), 1))
        parts = self.attention(x + position).flatten(2).chunk(3, 1)
        q, k, v = (p.reshape(len(x), HEADS, FEATURES // HEADS, -1).transpose(2, 3) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(x.shape)
        return norm(self.attention_norm, x + F.glu(self.attention_gate(y), 1))


class Net(nn.Module):
    def __init__(self, half, height, width):
        super().__init__()
        self.position = nn.Parameter(0.01 * torch.randn(FEATURES, height, width))
        self.first = Conv(half, FEATURES, 3)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.last = Conv(2 * FEATURES, half * (2 + 3 * COMPONENTS), 3, 0.1)

    def forward(self, x):
        """s, t, and [batch, half, components, ..] of log-weights, means and log-scales."""
        n = x.shape[1]
        x = self.first(x)
        for block in self.blocks:
            x = block(x, self.position)
        s, t, rest = self.last(concat_elu(x)).split([n, n, 3 * COMPONENTS * n], 1)
        weights, means, log_scales = rest.reshape(len(x), 3, n, COMPONENTS, *x.shape[2:]).unbind(1)
        return torch.tanh(s), t, F.log_softmax(weights, 2), means, log_scales.clamp(min=-7)


def logit(x, log_pi, means, log_scales):
    """logit F and its log-derivative."""
    z = (x.unsqueeze(2) - means) * torch.exp(-log_scales)
    below, above = F.logsigmoid(z), F.logsigmoid(-z)
    left, right = torch.logsumexp(log_pi + below, 2), torch.logsumexp(log_pi + above, 2)
    return left - right, torch.logsumexp(log_pi - log_scales + below + above, 2) - left - right


def logit_inverse(y, log_pi, means, log_scales):
    roots = means + y.unsqueeze(2) * torch.exp(log_scales)
    low, high = roots.amin(2), roots.amax(2)
    unit = torch.exp(-log_scales)
    for _ in range(24):
        middle = (low + high) / 2
        z = (middle.unsqueeze(2) - means) * unit
        pi_below = torch.logsumexp(log_pi + F.logsigmoid(z), 2)
        over = pi_below - torch.logsumexp(log_pi + F.logsigmoid(-z), 2) > y
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    x = (low + high) / 2
    at, slope = logit(x, log_pi, means, log_scales)
    return torch.clamp(x - (at - y) * torch.exp(-slope), low, high)


class Step(nn.Module):
    def __init__(self, channels, height, width, parity):
        super().__init__()
        self.parity = parity
        self.log_scale, self.shift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.lower, self.upper = nn.Parameter(torch.zeros(channels, channels)), nn.Parameter(torch.zeros(channels, channels))
        self.log_diagonal, self.bias = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("order", torch.eye(channels)[torch.randperm(channels)])
        self.net = Net(channels // 2, height, width)

    def matrix(self):
        identity = torch.eye(len(self.bias))
        return self.order @ (self.lower.tril(-1) + identity) @ (self.upper.triu(1) + identity * self.log_diagonal.exp())

    def halves(self, x):
        a, b = x.chunk(2, 1)
        return (a, b) if self.parity == 0 else (b, a)

    def join(self, kept, moved):
        return torch.cat([kept, moved] if self.parity == 0 else [moved, kept], 1)

    def forward(self, x):
        x = x * self.log_scale.exp()[:, None, None] + self.shift[:, None, None]
        x = F.conv2d(x, self.matrix()[:, :, None, None], self.bias)
        kept, moved = self.halves(x)
        a, t, *mixture = self.net(kept)
        y, slope = logit(moved, *mixture)
        logdet = x[0, 0].numel() * (self.log_scale.sum() + self.log_diagonal.sum()) + (slope + a).sum((1, 2, 3))
        return self.join(kept, y * a.exp() + t), logdet

    def inverse(self, y):
        kept, moved = self.halves(y)
        a, t, *mixture = self.net(kept)
        x = self.join(kept, logit_inverse((moved - t) * torch.exp(-a), *mixture))
        x = F.conv2d(x - self.bias[:, None, None], torch.linalg.inv(self.matrix())[:, :, None, None])
        return (x - self.shift[:, None, None]) * torch.exp(-self.log_scale)[:, None, None]


def colours(x):
    """Pixels whose row + column is even, then the others: pairs of a row become channels."""
    even, odd = x[:, :, :, 0::2], x[:, :, :, 1::2]
    swap = (torch.arange(x.shape[2]) % 2 == 1)[:, None]
    return torch.cat([torch.where(swap, odd, even), torch.where(swap, even, odd)], 1)


def colours_back(x):
    even, odd = x.chunk(2, 1)
    swap = (torch.arange(x.shape[2]) % 2 == 1)[:, None]
    return torch.stack([torch.where(swap, odd, even), torch.where(swap, even, odd)], 4).flatten(3)


def steps(count, channels, height, width):
    return nn.ModuleList(Step(channels, height, width, i % 2) for i in range(count))


class Flowpp(nn.Module):
    def __init__(self):
        super().__init__()
        half, quarter = SIDE // 2, SIDE // 4
        self.parts = nn.ModuleList([steps(COUPLINGS[0], 2, SIDE, half), steps(COUPLINGS[1], 4, half, half),
                                    steps(COUPLINGS[2], 8, half, quarter)])

    def forward(self, x):
        v = 0.05 + 0.9 * (x + torch.rand_like(x)) / 256
        x, logdet = colours(torch.logit(v)), -(torch.log(v) + torch.log1p(-v)).sum((1, 2, 3))
        for part, shape in zip(self.parts, (lambda x: F.pixel_unshuffle(colours_back(x), 2), colours, lambda x: x)):
            for step in part:
                x, more = step(x)
                logdet = logdet + more
            x = shape(x)
        constant = SIDE * SIDE * (math.log(0.9 / 256) - 0.5 * math.log(2 * math.pi))
        return -(logdet - 0.5 * x.square().sum((1, 2, 3)) + constant).mean()

    def sample(self):
        x = torch.randn(ROWS, 8, SIDE // 2, SIDE // 4)
        for part, shape in zip(self.parts[::-1], (colours_back, lambda x: colours(F.pixel_shuffle(x, 2)), colours_back)):
            for step in reversed(part):
                x = step.inverse(x)
            x = shape(x)
        return torch.clamp(torch.floor((torch.sigmoid(x) - 0.05) / 0.9 * 256), 0, 255)


def main():
    kind, job, threads, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    images = numpy.random.default_rng(seed).integers(0, 256, (ROWS, 1, SIDE, SIDE))
    x, flow = torch.from_numpy(images.astype(numpy.float32)), Flowpp()
    if kind != "flowpp":
        x, flow = x.to(memory_format=torch.channels_last), flow.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(flow.parameters(), lr=jobs.LR, fused=True)
    compiled = kind == "flowpp_compiled"

    def train():
        adam.zero_grad()
        loss = loss_of(x)
        loss.backward()
        adam.step()
        return loss.item()

    def sample():
        with torch.inference_mode():
            flow.sample()

    if job == "flowpp_28":
        loss_of = torch.compile(flow, dynamic=False) if compiled else flow
    elif compiled:
        globals()["logit_inverse"] = torch.compile(logit_inverse, dynamic=False)
        for step in (s for part in flow.parts for s in part):
            step.net = torch.compile(step.net, dynamic=False)
    seconds, loss = jobs.median_seconds(train if job == "flowpp_28" else sample, jobs.STEPS[job], 3)
    jobs.tell(sum(p.numel() for p in flow.parameters()), seconds, loss)


if __name__ == "__main__":
    main()
