"""The two backends, their protocol, and the one function that fits a model with either.

They import what is below `backends` and never one another, nor any likelihood that the other
uses.
"""

from mixcompare.backends.by_draw import occupancy_at, occupancy_in_batches
from mixcompare.backends.fitting import (
    BACKENDS,
    build_options,
    fit,
    get_backend,
    register_backend,
)
from mixcompare.backends.protocol import Backend, Blocks, Scorer

__all__ = [
    "BACKENDS",
    "Backend",
    "Blocks",
    "Scorer",
    "build_options",
    "fit",
    "get_backend",
    "occupancy_at",
    "occupancy_in_batches",
    "register_backend",
]
