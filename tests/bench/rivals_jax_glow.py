"""Glow in jitted JAX, for compare.py: `rivals_jax_glow.py glow_jax glow_28 THREADS SEED`. As rivals_glow.py has it, channels
last, and a training step is one compiled function that reuses the memory of what it replaces.
"""
import functools
import math
import os
import sys

if __name__ == "__main__" and sys.argv[3] == "1":
    os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") +
                               " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import numpy
from jax import numpy as jnp

import jobs
import rivals_jax

ROWS, SIDE, LEVELS, STEPS, HIDDEN = 64, 28, 2, 8, 128


# ---- parameters ------------------------------------------------------------------------------------------------------

def new_conv(rng, inputs, outputs, size, last=False):
    shape = (size, size, inputs + (size > 1), outputs)
    weight = numpy.zeros(shape) if last else 0.05 * rng.standard_normal(shape)
    return {"weight": jnp.float32(weight), "log_scale": jnp.zeros(outputs), "bias": jnp.zeros(outputs)}


def new_step(rng, channels):
    half, zeros = channels // 2, lambda *shape: jnp.zeros(shape)
    return {"log_scale": zeros(channels), "shift": zeros(channels), "log_diagonal": zeros(channels), "bias": zeros(channels),
            "lower": zeros(channels, channels), "upper": zeros(channels, channels),
            "net": [new_conv(rng, half, HIDDEN, 3), new_conv(rng, HIDDEN, HIDDEN, 1),
                    new_conv(rng, HIDDEN, 2 * half, 3, last=True)]}


def new_level(rng, channels, levels):
    kept = channels // 2 if levels > 1 else 0
    return {"steps": [new_step(rng, channels) for _ in range(STEPS)],
            "prior": new_conv(rng, kept, 2 * (channels - kept), 3, last=True),
            "inner": new_level(rng, 4 * kept, levels - 1) if kept else None}


# ---- density ---------------------------------------------------------------------------------------------------------

def conv(p, x, last=False):
    scale = jnp.exp(3 * p["log_scale"] if last else p["log_scale"])
    weight, bias = p["weight"] * scale, p["bias"] * scale if last else p["bias"]
    run = functools.partial(jax.lax.conv_general_dilated, window_strides=(1, 1), padding="SAME",
                            dimension_numbers=("NHWC", "HWIO", "NHWC"))
    if len(weight) == 1:
        return x @ weight[0, 0] + bias
    border = weight[:, :, -1:].sum((0, 1, 2)) - run(jnp.ones((1, *x.shape[1:3], 1)), weight[:, :, -1:])
    return border + bias + (run(x, weight[:, :, :-1]) if x.shape[3] else 0)


def flow_step(p, order, x):
    identity = jnp.eye(x.shape[3])
    w = ((jnp.tril(p["lower"], -1) + identity) @ (jnp.triu(p["upper"], 1) + identity * jnp.exp(p["log_diagonal"])))[order]
    x = (x * jnp.exp(p["log_scale"]) + p["shift"]) @ w.T + p["bias"]
    logdet = x.shape[1] * x.shape[2] * (p["log_scale"].sum() + p["log_diagonal"].sum())
    a, b = jnp.split(x, 2, 3)
    h = jax.nn.relu(conv(p["net"][1], jax.nn.relu(conv(p["net"][0], a))))
    r, t = jnp.split(conv(p["net"][2], h, last=True), 2, 3)
    return jnp.concatenate([a, (b + t) * jax.nn.sigmoid(r + 2)], 3), logdet + jax.nn.log_sigmoid(r + 2).sum((1, 2, 3))


def squeeze(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, 4 * c)


def log_prob(level, orders, x):
    total = 0
    for p, order in zip(level["steps"], orders):
        x, logdet = flow_step(p, order[order < x.shape[3]], x)
        total = total + logdet
    kept, leaves = jnp.split(x, [x.shape[3] // 2 if level["inner"] else 0], 3)
    log_sd, mean = jnp.split(conv(level["prior"], kept, last=True), 2, 3)
    z = (leaves - mean) * jnp.exp(-log_sd)
    total = total - (0.5 * z ** 2 + log_sd + 0.5 * math.log(2 * math.pi)).sum((1, 2, 3))
    return total + log_prob(level["inner"], orders[STEPS:], squeeze(kept)) if level["inner"] else total


def loss_of(orders, level, x, key):
    v = (x + jax.random.uniform(key, x.shape)) / 256
    return -(log_prob(level, orders, squeeze(v)) - SIDE * SIDE * math.log(256)).mean()


def main():
    job, seed = sys.argv[2], int(sys.argv[4])
    rng = numpy.random.default_rng(seed)
    x = jnp.float32(rng.integers(0, 256, (ROWS, SIDE, SIDE, 1)))
    flow = new_level(rng, 4, LEVELS)
    orders = [rng.permutation(8) for _ in range(LEVELS * STEPS)]
    run = jax.jit(functools.partial(rivals_jax.step, functools.partial(loss_of, orders)), donate_argnums=(0, 1))
    carry, keys = (flow, rivals_jax.new_adam(flow)), iter(jax.random.split(jax.random.key(seed), 1000))
    parameters = sum(p.size for p in jax.tree_util.tree_leaves(flow))

    def call():
        nonlocal carry
        *carry, loss = jax.block_until_ready(run(*carry, x, next(keys)))
        return loss

    seconds, loss = jobs.median_seconds(call, jobs.STEPS[job], 3)
    jobs.tell(parameters, seconds, float(loss))


if __name__ == "__main__":
    main()
