"""Programs that nutpie samples.

nutpie's own way, from a PyMC model through its graph, compiles for some twenty seconds in
every process and a minute and a half the first time on a machine; the program of the compiled
density serves every model that has it and is read from numba's cache in a third of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import nutpie
from numba import types
from nutpie.compile_pymc import CompiledPyMCModel

from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.density.density_kernels import copy_point, log_density
from mixcompare.backends.pymc.density.packing import pack, serves
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.base.arrays import FloatArray
from mixcompare.base.kernel_cache import cfunc

# The one variable that nutpie stores: the unconstrained point.
POINT = "point"

_DOUBLES = types.CPointer(types.double)
_DENSITY = types.int64(types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, types.voidptr)
_EXPAND = types.int64(types.uint64, types.uint64, _DOUBLES, _DOUBLES, types.voidptr)


def program(mixture: Mixture, start: Callable[[np.random.Generator], Arrays]) -> Any:
    """What nutpie samples: the compiled density where it serves, else the PyMC model."""
    lock = threading.Lock()  # chains are threads, and compiled functions hold their numbers

    def first(chain_seed: Any) -> FloatArray:
        with lock:
            point = start(np.random.default_rng(chain_seed))
        return np.concatenate([value.ravel() for value in point.values()])

    if serves(mixture):
        return _by_hand(pack(mixture), mixture.n_free, first)
    compiled = nutpie.compile_pymc_model(model_of(mixture), var_names=list(mixture.shapes))
    return replace(compiled, initial_point_func=first)


def _by_hand(block: FloatArray, n_free: int, first: Callable[[Any], FloatArray]) -> Any:
    """The class that nutpie makes of PyMC models, with functions written by hand.

    nutpie calls compiled functions by their address, with that of their data.
    """
    density, expand = compiled()
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=density,
        compiled_expand_func=expand,
        initial_point_func=first,
        shared_data={},
        shared_var_keys={},
        user_data=block,
        n_expanded=n_free,
        shape_info=([POINT], [slice(0, n_free)], [(n_free,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=n_free,
        _shapes={POINT: (n_free,)},
        _coords={},
    )


@cache
def compiled() -> tuple[Any, Any]:
    """Both functions; numba keeps them on disk, so that a machine compiles them once."""
    return cfunc(_DENSITY, cache=True)(log_density), cfunc(_EXPAND, cache=True)(copy_point)
