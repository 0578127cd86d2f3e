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

from mixcompare.backends.pymc.density.density_kernels import (
    copy_point,
    log_density,
    standard_normal,
)
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


def program(mixture: Mixture, start: Callable[[int], FloatArray]) -> Any:
    """What nutpie samples: the compiled density where it serves, else the PyMC model.

    Parameters
    ----------
    start
        Where a chain starts (D,), by its seed.
    """
    lock = threading.Lock()  # chains are threads, and compiled functions hold their numbers

    def first(chain_seed: int) -> FloatArray:
        with lock:
            return start(chain_seed)

    if serves(mixture):
        return _by_hand(compiled()[0], pack(mixture), mixture.n_free, first)
    of_graph = nutpie.compile_pymc_model(model_of(mixture), var_names=list(mixture.shapes))
    return replace(of_graph, initial_point_func=first)


def chain_seeds(seed: int, chains: int) -> list[int]:
    """The seeds by which nutpie's chains start, in order of size.

    nutpie draws them from its own and calls chains in any order. To know them before they are
    used, as many chains sample a normal variable.
    """
    seeds: list[int] = []

    def first(chain_seed: int) -> FloatArray:
        seeds.append(chain_seed)
        return np.ones(1)  # where the density has a slope, as nutpie demands

    nutpie.sample(
        _by_hand(compiled()[2], np.zeros(1), 1, first),
        draws=chains,  # fewer draws than chains are taken for a mistake
        tune=1,
        save_warmup=False,
        chains=chains,
        cores=1,
        seed=seed,
        progress_bar=False,
    )
    return sorted(seeds)


def _by_hand(
    density: Any, block: FloatArray, n_free: int, first: Callable[[int], FloatArray]
) -> Any:
    """The class that nutpie makes of PyMC models, with functions written by hand.

    nutpie calls compiled functions by their address, with that of their data.
    """
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=density,
        compiled_expand_func=compiled()[1],
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
def compiled() -> tuple[Any, Any, Any]:
    """The functions by hand; numba keeps them on disk, so that a machine compiles them once."""
    density, expand = cfunc(_DENSITY, cache=True), cfunc(_EXPAND, cache=True)
    return density(log_density), expand(copy_point), density(standard_normal)
