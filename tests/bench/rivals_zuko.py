"""The jobs of compare.py in zuko: `rivals_zuko.py KIND JOB THREADS SEED`, KIND zuko, or zuko_compiled, where loss and
sampling go through torch.compile, which has compiled before the clock starts. Adam is fused, as in rivals_torch's tuned
flow."""
import sys

import torch
import zuko

import jobs

POINTS = 10_000


def main():
    kind, job, threads, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = jobs.MODELS[job]
    flow = zuko.flows.NSF(model.dim, transforms=model.couplings, bins=8, hidden_features=model.hidden)
    compiled = torch.compile if kind == "zuko_compiled" else lambda f: f
    parameters = sum(p.numel() for p in flow.parameters())
    if job == "nsf_sample":
        sample = compiled(lambda: flow().sample((POINTS,)))
        with torch.no_grad():
            jobs.tell(parameters, jobs.median_seconds(sample, 5, 2)[0])
        return
    batch = torch.from_numpy(jobs.table(job, seed))
    adam = torch.optim.Adam(flow.parameters(), lr=jobs.LR, fused=True)
    loss_of = compiled(lambda x: -flow().log_prob(x).mean())

    def step():
        adam.zero_grad()
        loss = loss_of(batch)
        loss.backward()
        adam.step()
        return loss

    seconds, loss = jobs.median_seconds(step, jobs.STEPS[job], 3)
    jobs.tell(parameters, seconds, loss.item())


if __name__ == "__main__":
    main()
