"""All fits of a comparison side by side, with components numbered alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare import labels
from mixcompare.backends import occupancy_in_batches
from mixcompare.base.arrays import FloatArray
from mixcompare.comparison.parties import Party
from mixcompare.fits.fit import Fit
from mixcompare.fits.tree import permute_posterior
from mixcompare.labels import IntArray
from mixcompare.labels.metrics import total_variation
from mixcompare.model.layout import flatten


@dataclass(frozen=True, slots=True, eq=False)
class SideBySide:
    """Every fit with components numbered as EM's.

    Attributes
    ----------
    estimates
        One row per parameter, one column per fit: EM's optima and posterior means.
    responsibilities
        (G, K) of each fit.
    """

    estimates: pd.DataFrame
    responsibilities: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class AlignedDraws:
    """A posterior whose draws are aligned one by one to a reference.

    Attributes
    ----------
    permutation
        (chain, draw, K) that renumber each draw's components.
    posterior
        The parameters, so renumbered.
    responsibilities
        (G, K) means, so renumbered.
    """

    permutation: IntArray
    posterior: xr.Dataset
    responsibilities: FloatArray


def align_draws(fit: Fit, reference: FloatArray) -> AlignedDraws:
    """Number every draw's components as those of responsibilities (G, K)."""
    orders, mean = labels.align_batches_to_reference(occupancy_in_batches(fit), reference)
    permutation = orders.reshape(fit.draws.permutation.shape)
    posterior = permute_posterior(fit.layout, fit.posterior_as_sampled, permutation)
    return AlignedDraws(permutation, posterior, mean)


def side_by_side(parties: Sequence[Party], draws: AlignedDraws) -> SideBySide:
    """Number every fit's components as EM's.

    Parameters
    ----------
    parties
        The reference first.
    draws
        Those of the posterior that is compared in detail.
    """
    em = parties[0].fit
    reference = em.responsibilities.to_numpy()
    aligned = {
        party.name: aligned_estimate(
            party.fit, reference, draws if party.role == "posterior" else None
        )
        for party in parties
    }
    parameters = pd.Index([p.name for p in em.parameters], name="parameter")
    return SideBySide(
        pd.DataFrame({name: estimate for name, (estimate, _) in aligned.items()}, index=parameters),
        {name: tau for name, (_, tau) in aligned.items()},
    )


def aligned_estimate(
    fit: Fit, reference: FloatArray, draws: AlignedDraws | None = None
) -> tuple[FloatArray, FloatArray]:
    """Estimates (P,) and responsibilities (G, K), components numbered as the reference's.

    Draws are aligned one by one, unless an ordering constraint has numbered them: then all are
    renumbered alike, so that what the constraint does is seen.

    Parameters
    ----------
    draws
        The fit's aligned draws, if they are known.
    """
    if fit.has_draws and fit.options.get("ordered_by") is None:
        draws = draws or align_draws(fit, reference)
        mean = flatten(draws.posterior, fit.parameters).mean(axis=(0, 1))
        return np.asarray(mean), draws.responsibilities
    tau = fit.responsibilities.to_numpy()
    order = labels.align_to_reference(tau, reference)
    estimate = permute_posterior(fit.layout, fit.tree["estimate"].to_dataset(), order)
    return flatten(estimate, fit.parameters), tau[:, order]


def fits_table(parties: Sequence[Party], beside: SideBySide, sd: FloatArray) -> pd.DataFrame:
    """One row per fit.

    Parameters
    ----------
    beside
        All fits' estimates and responsibilities.
    sd
        (P,) posterior standard deviations of the parameters.

    Returns
    -------
    status; seconds; log_likelihood, the maximum or the highest draw's; largest_difference from
    EM's estimate in posterior sds, and the parameter it is of; distance, mean total variation
    of the class probabilities from EM's; same_class, share of the units.
    """
    reference = beside.responsibilities[parties[0].name]
    centre = beside.estimates[parties[0].name].to_numpy()
    rows = {}
    for name, fit in ((party.name, party.fit) for party in parties):
        estimate, tau = beside.estimates[name].to_numpy(), beside.responsibilities[name]
        difference = np.divide(estimate - centre, sd, out=np.zeros_like(sd), where=sd > 0)
        worst = int(np.abs(difference).argmax())
        rows[name] = {
            "status": fit.status,
            "seconds": fit.seconds,
            "log_likelihood": fit.log_likelihood,
            "largest_difference": float(difference[worst]),
            "parameter": fit.parameters[worst].name,
            "distance": float(total_variation(tau, reference).mean()),
            "same_class": float((tau.argmax(axis=1) == reference.argmax(axis=1)).mean()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fit")
