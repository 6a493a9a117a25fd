#!/usr/bin/env python3
"""Convolutions by shape, forward and both gradients: leat against oneDNN through PyTorch (channels last), in one process
that has them take turns.

    convolutions.py LIBLEAT.so [--threads N] [--rounds N] [--only WORDS]

Prints the median time of leat, its GFLOP/s, and PyTorch's time over leat's; at the end the least of these. With one
thread the time is that of the processor, so that a busy machine does not disturb; otherwise it is the clock's.
"""
import argparse
import ctypes
import statistics
import time

import numpy
import torch

# model, batch, height, width, in, out, kernel
SHAPES = [
    ("glow", 64, 14, 14, 2, 128, 3), ("glow", 64, 14, 14, 128, 128, 1), ("glow", 64, 14, 14, 128, 4, 3),
    ("glow", 64, 7, 7, 4, 128, 3), ("glow", 64, 7, 7, 128, 128, 1), ("glow", 64, 7, 7, 128, 8, 3),
    ("realnvp", 64, 28, 28, 3, 32, 3), ("realnvp", 64, 28, 28, 32, 32, 3), ("realnvp", 64, 28, 28, 32, 32, 1),
    ("realnvp", 64, 28, 28, 32, 2, 3), ("realnvp", 64, 14, 14, 4, 64, 3), ("realnvp", 64, 14, 14, 64, 64, 3),
    ("realnvp", 64, 14, 14, 64, 64, 1), ("flow++", 16, 28, 14, 96, 96, 3), ("flow++", 16, 28, 14, 96, 192, 1),
]


class Conv(ctypes.Structure):
    """leat_conv"""
    pair = ctypes.c_int64 * 2
    _fields_ = [("batch", ctypes.c_int64), ("in_", ctypes.c_int64), ("out", ctypes.c_int64), ("size", pair),
                ("kernel", pair), ("result", pair), ("stride", pair), ("padding", pair), ("kernels", ctypes.c_void_p)]


class Leat:
    def __init__(self, path, threads):
        self.lib = ctypes.CDLL(path)
        self.lib.leat_pool_new.restype = ctypes.c_void_p
        self.pool = ctypes.c_void_p(self.lib.leat_pool_new(threads, None))
        self.arena = ctypes.create_string_buffer(4096)
        self.lib.leat_arena_init(self.arena, None)

    def calls(self, v, x, w, bias, dy):
        """Result, input gradient and weight gradient, each a call that gives an array."""
        def pointer(a):
            return ctypes.c_void_p(a.ctypes.data)
        y, dx, dw = numpy.empty_like(dy), numpy.empty_like(x), numpy.empty_like(w)
        arguments = {
            "forward": (pointer(x), pointer(w), pointer(bias), 0, pointer(y)),
            "input_gradient": (pointer(dy), pointer(w), pointer(dx)),
            "weight_gradient": (pointer(dy), pointer(x), pointer(dw)),
        }
        results = {"forward": y, "input_gradient": dx, "weight_gradient": dw}

        def call(name):
            function, last = getattr(self.lib, "leat_conv_" + name), arguments[name]
            def run():
                if function(self.pool, self.arena, ctypes.byref(v), *last):
                    raise MemoryError
                return results[name]
            return run
        return {name: call(name) for name in arguments}


def torch_calls(x, w, bias, dy, padding):
    """The same by PyTorch, with arrays as it likes them best."""
    def channels_last(a):
        return torch.from_numpy(a).permute(0, 3, 1, 2)
    tx, tdy, tb = channels_last(x), channels_last(dy), torch.from_numpy(bias)
    tw = torch.from_numpy(w).contiguous(memory_format=torch.channels_last)

    def backward(mask):
        grads = torch.ops.aten.convolution_backward(tdy, tx, tw, None, [1, 1], [padding] * 2, [1, 1], False, [0, 0], 1,
                                                    mask)
        return next(g for g in grads if g is not None)
    return {
        "forward": lambda: torch.conv2d(tx, tw, tb, 1, padding).permute(0, 2, 3, 1),
        "input_gradient": lambda: backward([True, False, False]).permute(0, 2, 3, 1),
        "weight_gradient": lambda: backward([False, True, False]),
    }


def measure(ours, theirs, flop, clock, rounds):
    """Median seconds of both."""
    calls = max(1, int(3e8 / flop))
    seconds = ([], [])
    for call in (ours, theirs):
        call()
    for _ in range(rounds):
        for call, took in zip((ours, theirs), seconds):
            start = clock()
            for _ in range(calls):
                call()
            took.append((clock() - start) / calls)
    return [statistics.median(s) for s in seconds]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    leat, random, least = Leat(args.library, args.threads), numpy.random.default_rng(1), 1e9
    for model, batch, height, width, channels, out, kernel in SHAPES:
        padding, label = kernel // 2, f"{model} {kernel}x{kernel} {channels}->{out}"
        def draw(*shape):
            return random.standard_normal(shape, dtype=numpy.float32)
        x, w, bias = draw(batch, height, width, channels), draw(out, channels, kernel, kernel), draw(out)
        dy = draw(batch, height, width, out)
        v = Conv(batch, channels, out, (height, width), (kernel, kernel), (height, width), (1, 1), (padding, padding))
        ours, theirs = leat.calls(v, x, w, bias, dy), torch_calls(x, w, bias, dy, padding)
        flop = 2.0 * batch * height * width * channels * out * kernel * kernel
        for name in ours:
            row = f"{label:22} at {height}x{width:<3} {name:16}"
            if args.only not in row:
                continue
            a, b = ours[name](), theirs[name]().numpy()
            if not numpy.allclose(a, b, rtol=1e-3, atol=1e-3 * float(numpy.abs(b).max())):
                raise SystemExit(f"{row}: results differ")
            mine, other = measure(ours[name], theirs[name], flop, clock, args.rounds)
            least = min(least, other / mine)
            print(f"{row} {args.threads} threads {1e6 * mine:9.1f} us {1e-9 * flop / mine:7.1f} GFLOP/s  "
                  f"{other / mine:.2f}", flush=True)
    print(f"the least of oneDNN to leat: {least:.2f}")


main()
