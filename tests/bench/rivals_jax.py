"""The jobs of compare.py in jitted JAX: `rivals_jax.py jax JOB THREADS SEED`.

A training step (loss, gradients, Adam) is one compiled function that reuses the memory of what it replaces; the moons
go through an epoch of them at a time, so that Python is called once an epoch. As in rivals_torch's tuned flow, kept and
moved columns are two arrays. All but start_up and the whole processes compile before the clock starts.
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


# ---- the flow -------------------------------------------------------------------------------------------------------

def new_net(rng, widths, paper):
    """PyTorch's own initial weights, or those of NICE's paper; [in, out]."""
    net = []
    for inputs, outputs in zip(widths, widths[1:]):
        limit = 0.01 if paper else 1 / math.sqrt(inputs)
        bias = numpy.zeros(outputs) if paper else rng.uniform(-limit, limit, outputs)
        net.append([jnp.float32(a) for a in (rng.uniform(-limit, limit, (inputs, outputs)), bias)])
    return net


def new_flow(model, seed):
    rng = numpy.random.default_rng(seed)
    layers = []
    for i in range(model.couplings):
        kept = model.dim // 2 if model.paper or i % 2 == 0 else model.dim - model.dim // 2
        widths = (kept, *model.hidden, model.dim - kept)
        layers.append([new_net(rng, widths, model.paper) for _ in range(2 if model.affine else 1)])
    return {"layers": layers, **({"log_scale": jnp.zeros(model.dim)} if model.paper else {})}


def run_net(net, x):
    for weight, bias in net[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return x @ net[-1][0] + net[-1][1]


def log_prob(model, flow, x):
    if model.paper:
        kept, moved = x[:, :model.dim // 2], x[:, model.dim // 2:]
    else:
        kept, moved = x[:, 1::2], x[:, 0::2]
    logdet = 0
    for *snet, tnet in flow["layers"]:
        if snet:
            s = jnp.tanh(run_net(snet[0], kept))
            moved, logdet = moved * jnp.exp(s), logdet + s.sum(1)
        moved = moved + run_net(tnet, kept)
        kept, moved = (moved[:, ::-1], kept[:, ::-1]) if model.paper else (moved, kept)
    if model.paper:
        z = jnp.concatenate((kept, moved), 1) * jnp.exp(flow["log_scale"])
        return flow["log_scale"].sum() - (jax.nn.softplus(z) + jax.nn.softplus(-z)).sum(1)
    squares = (kept ** 2).sum(1) + (moved ** 2).sum(1)
    return logdet - 0.5 * (squares + model.dim * math.log(2 * math.pi))


def sample(model, flow, n, key):
    """Points of the notebook's NICE, the only flow that these jobs sample."""
    z = jax.random.normal(key, (n, model.dim))
    kept, moved = z[:, 1::2], z[:, 0::2]
    for (tnet,) in reversed(flow["layers"]):
        kept, moved = moved, kept
        moved = moved - run_net(tnet, kept)
    return jnp.concatenate((moved, kept), 1)


# ---- training -------------------------------------------------------------------------------------------------------

def new_adam(flow):
    return {"m": jax.tree_util.tree_map(jnp.zeros_like, flow), "v": jax.tree_util.tree_map(jnp.zeros_like, flow),
            "t": jnp.zeros(())}


def loss_of(model, flow, batch):
    return -log_prob(model, flow, batch).mean()


def step(loss_of, flow, adam, *batch):
    loss, grads = jax.value_and_grad(loss_of)(flow, *batch)
    each = jax.tree_util.tree_map
    t = adam["t"] + 1
    m = each(lambda m, g: 0.9 * m + 0.1 * g, adam["m"], grads)
    v = each(lambda v, g: 0.999 * v + 0.001 * g * g, adam["v"], grads)
    rate, root = jobs.LR / (1 - 0.9 ** t), jnp.sqrt(1 - 0.999 ** t)
    flow = each(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), flow, m, v)
    return flow, {"m": m, "v": v, "t": t}, loss


def epoch(model, flow, adam, x):
    """One step for each batch; the last batch may be smaller. Gives the mean loss too."""
    full = len(x) // jobs.BATCH * jobs.BATCH

    def one(carry, batch):
        *carry, loss = step(functools.partial(loss_of, model), *carry, batch)
        return carry, loss

    carry, losses = jax.lax.scan(one, [flow, adam], x[:full].reshape(-1, jobs.BATCH, model.dim))
    flow, adam, last = step(functools.partial(loss_of, model), *carry, x[full:])
    return flow, adam, (losses.sum() * jobs.BATCH + last * (len(x) - full)) / len(x)


def train_moons(model, flow, seed, warm):
    x = jobs.moons(seed)
    rng = numpy.random.default_rng(seed)
    run = jax.jit(functools.partial(epoch, model), donate_argnums=(0, 1))
    if warm:
        jax.block_until_ready(run(jax.tree_util.tree_map(jnp.copy, flow), new_adam(flow), x))

    def train():
        carry = flow, new_adam(flow)
        for _ in range(jobs.EPOCHS):
            *carry, loss = run(*carry, x[rng.permutation(len(x))])
        return float(loss)

    return jobs.seconds_of(train)


def one_step(model, flow, job, seed):
    batch = jnp.asarray(jobs.table(job, seed))
    run = jax.jit(functools.partial(step, functools.partial(loss_of, model)), donate_argnums=(0, 1))
    carry = flow, new_adam(flow)

    def call():
        nonlocal carry
        *carry, loss = jax.block_until_ready(run(*carry, batch))
        return loss

    seconds, loss = jobs.median_seconds(call, jobs.STEPS[job], 3)
    return seconds, float(loss)


# ---- sampling and scoring -------------------------------------------------------------------------------------------

def infer(model, flow, job, seed):
    key = jax.random.key(seed)
    if job in ("sample_one", "start_up"):
        draw = jax.jit(lambda flow, key, i: sample(model, flow, 1, jax.random.fold_in(key, i)))
        count = iter(range(10_000))
        call = lambda: draw(flow, key, next(count)).block_until_ready()
        return jobs.median_seconds(call, 1, 0)[0] if job == "start_up" else jobs.median_seconds(call, 1000, 20)[0]
    parts = jobs.MILLION // jobs.PART
    if job == "sample_million":
        run = jax.jit(lambda flow, key: jax.lax.map(lambda key: sample(model, flow, jobs.PART, key),
                                                    jax.random.split(key, parts)))
        inputs = key
    else:
        run = jax.jit(lambda flow, x: jax.lax.map(lambda part: log_prob(model, flow, part), x))
        inputs = jnp.asarray(jobs.table(job, seed)).reshape(parts, jobs.PART, model.dim)
    compiled = run.lower(flow, inputs).compile()
    return jobs.seconds_of(lambda: jax.block_until_ready(compiled(flow, inputs)))[0]


def main():
    job, seed = sys.argv[2], int(sys.argv[4])
    model = jobs.MODELS[job]
    flow = new_flow(model, seed)
    parameters = sum(p.size for p in jax.tree_util.tree_leaves(flow))
    if "moons" in job:
        jobs.tell(parameters, *train_moons(model, flow, seed, warm=not job.endswith("_whole")))
    elif job in jobs.STEPS:
        jobs.tell(parameters, *one_step(model, flow, job, seed))
    else:
        jobs.tell(parameters, infer(model, flow, job, seed))


if __name__ == "__main__":
    main()
