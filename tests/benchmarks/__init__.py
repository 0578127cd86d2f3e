"""Measurements that are run by hand; with one thread, which counts when NumPy loads."""

import os

for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"
