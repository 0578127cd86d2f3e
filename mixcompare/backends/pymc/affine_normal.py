"""Variables of which a linear map is standard normal: in PyMC's graph, and on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from mixcompare.base.arrays import FloatArray

LOG_2PI: Final = float(np.log(2 * np.pi))


def affine_normal(name: str, terms: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Rows v such that ``offset + spread v`` is standard normal, as a variable of the model.

    Terms are offset (q,), spread (q, q) and its log determinant; the shape is (q,) or (n, q).
    """
    signature = "(q),(q,q),()->(q)"
    return pm.CustomDist(name, *terms, logp=_logp, random=_random, signature=signature, shape=shape)


def _logp(value: Any, offset: Any, spread: Any, log_volume: Any) -> Any:
    # For several rows CustomDist gives every parameter a leading dimension.
    matrix = spread[0] if spread.ndim > 2 else spread
    standard = offset + value @ matrix.T
    log_density = -0.5 * (LOG_2PI + pt.sqr(standard)).sum(axis=-1)
    return log_density + log_volume


def _random(
    offset: FloatArray, spread: FloatArray, _: FloatArray, rng: Any = None, size: Any = None
) -> FloatArray:
    generator = np.random.default_rng(rng)
    q = offset.shape[-1]
    standard = generator.standard_normal((*(size or ()), q)) - offset.reshape(-1, q)[0]
    return solved(spread.reshape(-1, q, q)[0], standard)


def solved(spread: FloatArray, standard: FloatArray) -> FloatArray:
    """Rows v (..., q) such that ``spread v`` is `standard`."""
    return np.asarray(np.linalg.solve(spread, standard[..., None])[..., 0])


def log_volume(spread: FloatArray) -> float:
    """log|det spread|."""
    return float(np.linalg.slogdet(spread)[1])


def log_density(standard: FloatArray, volume: float) -> FloatArray:
    """Log densities (S,) of independent rows of which `standard` (S, ..., q) is standard normal."""
    by_row = volume - 0.5 * (LOG_2PI + standard**2).sum(axis=-1)
    return np.asarray(by_row.reshape(len(standard), -1).sum(axis=-1))
