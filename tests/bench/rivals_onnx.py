"""The jobs of compare.py that only infer, in ONNX Runtime.

`rivals_onnx.py export FOLDER` writes what rivals_torch's tuned flow does into FOLDER, one graph for each job;
`rivals_onnx.py onnx JOB THREADS SEED FOLDER` runs one. Latents come from NumPy, and count.
"""
import os
import sys

import numpy

import jobs

GRAPHS = {"sample_one": ("decode", 1), "start_up": ("decode", 1), "sample_million": ("decode", jobs.PART),
          "score_million": ("log_prob", jobs.PART)}


def file_of(method, rows, folder):
    return os.path.join(folder, f"{method}{rows}.onnx")


def export(folder):
    import torch
    import rivals_torch

    class Graph(torch.nn.Module):
        def __init__(self, flow, method):
            super().__init__()
            self.flow, self.method = flow, method

        def forward(self, x):
            return getattr(self.flow, self.method)(x)

    torch.manual_seed(0)
    flow = rivals_torch.TunedFlow(jobs.NOTEBOOK).eval()
    for method, rows in set(GRAPHS.values()):
        torch.onnx.export(Graph(flow, method), (torch.randn(rows, jobs.NOTEBOOK.dim),), file_of(method, rows, folder),
                          input_names=["x"], dynamo=True, external_data=False, verbose=False)


def infer(job, threads, seed, folder):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(file_of(*GRAPHS[job], folder), options, ["CPUExecutionProvider"])
    rng = numpy.random.default_rng(seed)
    run = lambda x: session.run(None, {"x": x})[0]
    sample = lambda: run(rng.standard_normal((GRAPHS[job][1], jobs.NOTEBOOK.dim), dtype=numpy.float32))
    if job == "start_up":
        return jobs.seconds_of(sample)[0]
    if job == "sample_one":
        return jobs.median_seconds(sample, 1000, 20)[0]
    parts = jobs.MILLION // jobs.PART
    if job == "sample_million":
        sample()
        return jobs.seconds_of(lambda: numpy.concatenate([sample() for _ in range(parts)]))[0]
    x = jobs.table(job, seed)
    run(x[:jobs.PART])
    return jobs.seconds_of(lambda: numpy.concatenate([run(part) for part in numpy.split(x, parts)]))[0]


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(sys.argv[2])
    else:
        jobs.tell(0, infer(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
