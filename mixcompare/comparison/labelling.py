"""Several relabelling algorithms on the same draws: do they agree?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare import labels
from mixcompare.backends import occupancy_at
from mixcompare.base.arrays import FloatArray
from mixcompare.comparison.modes import Modes
from mixcompare.fits.fit import Fit
from mixcompare.labels import IntArray
from mixcompare.model.layout import Parameter

# Enough for a share, and no more than so many values, for panels of many units.
_MOST_DRAWS = 1000
_MOST_VALUES = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """Permutations of the same draws by several algorithms.

    Attributes
    ----------
    permutations
        (C, D, K) by algorithm.
    draws
        (D,) which draws of each chain.
    ordered_by
        What the ordering constraint sorts; empty if there is no such quantity.
    instability
        (G,) share of the draws in which a unit is not in its commonest class.
    classes
        (A, G) commonest class of every unit by algorithm, numbered as EM's.
    """

    permutations: Mapping[str, IntArray]
    draws: IntArray
    ordered_by: str
    instability: FloatArray
    classes: IntArray


def label_draws(
    em: Fit, posterior_fit: Fit, aligned: xr.Dataset, features: FloatArray, modes: Modes
) -> Labelling:
    """Relabel evenly spaced draws, and those climbed from, by every algorithm.

    The pivot is the draw of highest log-likelihood.

    Parameters
    ----------
    aligned
        The posterior aligned to EM's estimate.
    features
        (G, D) what is known of the units, for data-based relabelling.
    """
    numbers = posterior_fit.draws.numbers
    chains, available = numbers.shape
    units, k = posterior_fit.result.occupancy.shape
    wanted = max(1, min(_MOST_DRAWS, _MOST_VALUES // (units * k)) // chains)
    spaced = np.linspace(0, available - 1, min(wanted, available)).astype(np.intp)
    draws = np.union1d(spaced, modes.draws)
    tau = occupancy_at(posterior_fit, numbers[:, draws])
    height = posterior_fit.log_likelihood_by_draw[:, draws]
    pivot = np.unravel_index(int(height.argmax()), height.shape)
    separated = _best_separated(em.parameters, aligned)
    raw = posterior_fit.posterior_as_sampled
    permutations = labels.relabel(
        labels.Draws(
            responsibilities=tau,
            pivot=tau[pivot],
            reference=em.responsibilities.to_numpy(),
            quantity=None if separated is None else _values(raw, separated)[:, draws],
            features=features,
        )
    )
    return Labelling(
        permutations=permutations,
        draws=draws,
        ordered_by="" if separated is None else separated.name.replace("[1", "[k", 1),
        instability=labels.instability(tau, permutations["EM"]),
        classes=np.stack(
            [
                _commonest(tau, permutation, permutations["EM"])
                for permutation in permutations.values()
            ]
        ),
    )


def _commonest(tau: FloatArray, permutation: IntArray, reference: IntArray) -> IntArray:
    """(G,) commonest class of every unit, numbered as the reference does."""
    renumbering, _ = labels.relative_labelling(permutation, reference)
    renamed = labels.classes(tau, labels.compose(permutation, renumbering))
    renamed = renamed.reshape(-1, renamed.shape[-1])
    counts = np.stack([(renamed == c).sum(axis=0) for c in range(tau.shape[-1])])
    return np.asarray(counts.argmax(axis=0), dtype=np.intp)


def _best_separated(parameters: tuple[Parameter, ...], aligned: xr.Dataset) -> Parameter | None:
    """The first class's weight or coefficient that tells neighbouring classes apart best.

    By the smallest distance between the classes' means, in units of their largest
    standard deviation; None where nothing tells them apart.
    """
    best, clearest = 0.0, None
    for parameter in parameters:
        if parameter.component != 1 or parameter.variable not in ("weights", "coefficients"):
            continue
        values = _values(aligned, parameter)
        mean, spread = values.mean(axis=(0, 1)), values.std(axis=(0, 1)).max()
        if len(mean) < 2 or not spread > 0:
            continue
        apart = float(np.diff(np.sort(mean)).min() / spread)
        if apart > best:
            best, clearest = apart, parameter
    return clearest


def _values(draws: xr.Dataset, parameter: Parameter) -> FloatArray:
    """(C, S, K) of a first class's parameter and its counterparts in the other classes."""
    array = draws[parameter.variable]
    _, *place = parameter.position
    return array.isel(dict(zip(array.dims[3:], place, strict=True))).to_numpy()


def algorithms_table(labelling: Labelling, modes: Modes) -> pd.DataFrame:
    """One row per algorithm.

    Returns
    -------
    source; moved_units, whose commonest class is not the one by alignment to EM; and by
    algorithm the share of draws given the same permutation, up to one renumbering for all
    of them. ``climbing`` knows only the draws that were climbed from.
    """
    names = list(labelling.permutations)
    given = list(labelling.permutations.values())
    matrix = pd.DataFrame(labels.agreement_matrix(given), index=names, columns=names)
    at = np.searchsorted(labelling.draws, modes.draws)
    for name, permutation in labelling.permutations.items():
        share = labels.agreement(permutation[:, at], modes.permutation)
        matrix.loc[name, "climbing"] = matrix.loc["climbing", name] = share
    matrix.loc["climbing", "climbing"] = 1.0
    moved = (labelling.classes != labelling.classes[names.index("EM")]).sum(axis=1)
    matrix.insert(0, "moved_units", pd.Series(moved, index=names))
    matrix.insert(0, "source", [labels.ALGORITHMS[name].source for name in matrix.index])
    return matrix.rename_axis("algorithm")
