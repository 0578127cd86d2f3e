"""What a fit was made with: versions of libraries and the kind of processor."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from functools import cache

import numpy as np

_REPORTED_VERSIONS = (
    "mixcompare",
    "numpy",
    "scipy",
    "pymc",
    "pytensor",
    "nutpie",
    "numpyro",
    "blackjax",
    "jax",
    "pymc-extras",
    "numba",
    "arviz",
    "xarray",
)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a fit's numbers depend on."""
    known = {"python": platform.python_version()}
    for name in _REPORTED_VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # optional ones
            known[name] = importlib.metadata.version(name)
    return known


def machine() -> str:
    """Kind of processor: compiled code, and with it the last bits of numbers, depends on it."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join((platform.system(), platform.machine(), *extensions.get("found", ())))
