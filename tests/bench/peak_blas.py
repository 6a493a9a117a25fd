"""The best that OpenBLAS, by way of NumPy, does on large square products of floats: prints GFLOP/s. For compare.py."""
import numpy

import jobs


def best_of(size, rounds=12):
    a, b = numpy.random.default_rng(0).standard_normal((2, size, size), dtype=numpy.float32)
    out = numpy.empty_like(a)
    return 2e-9 * size ** 3 / min(jobs.seconds_of(lambda: numpy.matmul(a, b, out=out))[0] for _ in range(rounds))


if __name__ == "__main__":
    print(max(best_of(size) for size in (1024, 1536, 2048)))
