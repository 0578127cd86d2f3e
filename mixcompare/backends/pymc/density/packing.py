"""A mixture's numbers in the one block that the compiled density reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

from mixcompare.backends.pymc.affine_normal import LOG_2PI
from mixcompare.backends.pymc.classes.membership import helmert_contrasts
from mixcompare.backends.pymc.classes.static import StaticCoordinates, log_constant
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.density.block import Constants, Sizes
from mixcompare.backends.pymc.density.likelihood_kernels import LANES
from mixcompare.backends.pymc.emissions.normal_coordinates import NormalCoordinates
from mixcompare.backends.pymc.emissions.structure import Structure
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import has_covariances


def serves(mixture: Mixture) -> bool:
    """Whether the compiled density is that of the model: one normal response, static classes."""
    kinds = [type(part) for part in (mixture.classes, *mixture.emissions)]
    return kinds == [StaticCoordinates, NormalCoordinates]


def pack(mixture: Mixture, *, power: float = 1.0) -> FloatArray:
    """Everything that `log_density` reads of a mixture, one after the other.

    The likelihood is taken to a power, the weight of every unit; at 0, the prior's density,
    units are left out.
    """
    classes, (response,) = mixture.classes, mixture.emissions
    assert isinstance(response, NormalCoordinates)
    s = response.term
    first, tiles = _tiles(classes, response)
    tiles[:, -LANES:] *= power
    tiles = tiles if power else tiles[:0]
    sizes = Sizes(
        **{name: getattr(s, name) for name in Sizes._fields if hasattr(s, name)},
        n_concomitants=classes.term.n_concomitants,
        n_rows=first.size,
        n_tiles=len(tiles),
        tile=tiles.shape[1],
        full=has_covariances(s.covariance),
    )
    inputs = mixture.inputs()
    numbers: dict[str, Any] = {
        **inputs,
        "log_constant": _constant(s, classes.term.n_concomitants, inputs),
        "contrasts": helmert_contrasts(s.n_components),
        "first": first,
        "tiles": tiles,
    }
    pieces = [numbers.get(name, np.zeros(0)) for name in Constants._fields]
    body = np.concatenate([np.ravel(piece).astype(np.float64) for piece in (sizes, *pieces)])
    return np.concatenate([[body.size + 1.0], body])


def _constant(s: Structure, c: int, inputs: Arrays) -> float:
    """What the log density has that no free variable changes, likelihood apart."""
    k = s.n_components
    total = log_constant(inputs["concentration"]) if k > 1 and not c else 0.0
    for size, copies, volume in (
        ((k - 1) * c, k - 1, "membership_log_volume"),
        (s.n_common * s.n_outcomes, 1, "common_log_volume"),
        (k * s.n_varying * s.n_outcomes, k, "log_volume"),
    ):
        if size:
            total += copies * float(inputs[volume]) - 0.5 * size * LOG_2PI
    half = inputs["squares_df"] / 2
    total -= s.n_covariances * (gammaln(half) + half * np.log(2)).sum()
    return float(total - 0.5 * s.n_covariances * s.n_below * LOG_2PI)


def _tiles(
    classes: StaticCoordinates, response: NormalCoordinates
) -> tuple[FloatArray, FloatArray]:
    """First column of each row and tiles, see `likelihood_kernels.log_likelihood`."""
    panel = response.panel
    rows = np.concatenate([panel.covariates, panel.outcomes[..., ::-1]], axis=-1)
    n_units, n_rows, q = rows.shape
    if n_rows > 1:
        rows = np.linalg.qr(rows, mode="r")
    first = np.minimum(np.arange(rows.shape[1]), q)
    columns = [rows[:, j, first[j] :] for j in range(rows.shape[1])]
    if classes.membership is not None:
        columns.append(classes.membership.concomitants)
    columns += [panel.degrees_of_freedom[:, None], classes.unit_weights[:, None]]
    flat = np.concatenate(columns, axis=1)
    n_tiles = -(-n_units // LANES)
    padded = np.zeros((n_tiles * LANES, flat.shape[1]))
    padded[:n_units] = flat
    tiles = padded.reshape(n_tiles, LANES, -1).swapaxes(1, 2)
    return first, np.ascontiguousarray(tiles).reshape(n_tiles, -1)
