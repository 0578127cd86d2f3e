"""More than two fits of one model: which is compared with which, and all side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare import labels
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError
from mixcompare.base.maxima import same_within
from mixcompare.fits.fit import Fit
from mixcompare.fits.tree import permute_posterior
from mixcompare.labels import IntArray
from mixcompare.labels.metrics import total_variation
from mixcompare.model.layout import flatten


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """The fits in their roles.

    Attributes
    ----------
    em
        The maximum of the likelihood, to which everything is aligned.
    runs
        Further EM fits of the same kind: other starts, stopping rules, seeds.
    posterior
        The draws that it is compared with in detail.
    mode
        The mode of the posterior by EM, if it was given.
    others
        Further posteriors.
    """

    em: Fit
    posterior: Fit
    mode: Fit | None
    others: tuple[Fit, ...]
    runs: tuple[Fit, ...] = ()

    @property
    def named(self) -> dict[str, Fit]:
        """Every fit under a name of its own, in the order of the tables."""
        mode = () if self.mode is None else (("EM, mode of the posterior", self.mode),)
        first = (_sampler(self.posterior), self.posterior)
        others = ((_other_sampler(fit, self.posterior), fit) for fit in self.others)
        return unique_names([*self.maxima.items(), *mode, first, *others])

    @property
    def maxima(self) -> dict[str, Fit]:
        """EM's maxima of the likelihood, each named after what differs from the first."""
        others = ((f"EM, {_difference(fit, self.em)}", fit) for fit in self.runs)
        return unique_names([("EM", self.em), *others])


def _sampler(fit: Fit) -> str:
    by = fit.options.get("ordered_by")
    return f"{fit.options['sampler']}{'' if by is None else f', ordered by {by}'}"


def _other_sampler(fit: Fit, reference: Fit) -> str:
    """The sampler and, if it is the reference's, other options that differ."""
    own = _sampler(fit)
    if fit.options["sampler"] != reference.options["sampler"]:
        return own
    return ", ".join([own, *_differing(fit, reference, without=("ordered_by", "cores"))])


def unique_names(pairs: Iterable[tuple[str, Fit]]) -> dict[str, Fit]:
    """Fits by name; a name that is taken gets a number."""
    found: dict[str, Fit] = {}
    for name, fit in pairs:
        number, free = 2, name
        while free in found:
            free, number = f"{name} ({number})", number + 1
        found[free] = fit
    return found


def _difference(fit: Fit, reference: Fit) -> str:
    """Options that differ, or the seed if none does."""
    words = _differing(fit, reference)
    return ", ".join(words) if words else f"seed {fit.seed}"


def _differing(fit: Fit, reference: Fit, without: Sequence[str] = ()) -> list[str]:
    return [
        f"{key} {_plain(value)}"
        for key, value in fit.options.items()
        if key not in ("progress", *without) and value != reference.options.get(key, value)
    ]


def _plain(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def arrange(fits: Sequence[Fit]) -> Arranged:
    """Sort fits by what they are: EM's maxima and mode, and posteriors.

    Of several maxima the highest is the reference, spurious ones only if all are; of those that
    are equal but for rounding, the first.

    Raises
    ------
    DataError
        If there is no EM fit with estimator "ml" or no posterior, there are two modes, or
        models or data differ.
    """
    posteriors = [fit for fit in fits if fit.backend == "pymc"]
    climbed = [fit for fit in fits if fit.backend != "pymc"]
    modes = [fit for fit in climbed if fit.options["estimator"] == "map"]
    maxima = [fit for fit in climbed if fit.options["estimator"] == "ml"]
    if not maxima or len(modes) > 1 or not posteriors:
        raise DataError(
            "compare needs one or more fits with backend='em', at most one of them with "
            "estimator='map', and one or more with backend='pymc'; it was given "
            f"{len(maxima)}, {len(modes)} and {len(posteriors)}."
        )
    em = _highest(maxima)
    for fit in fits:
        if fit.spec != em.spec:
            raise DataError(f"the fits have different models: {em.spec} and {fit.spec}.")
        if fit.fingerprint != em.fingerprint:
            raise DataError(
                "the fits were made on different data (their fingerprints differ). Fit all to the "
                "same table."
            )
    runs = tuple(fit for fit in maxima if fit is not em)
    return Arranged(em, posteriors[0], modes[0] if modes else None, tuple(posteriors[1:]), runs)


def _highest(maxima: Sequence[Fit]) -> Fit:
    maxima = [fit for fit in maxima if fit.status != "spurious"] or maxima
    top = max(fit.log_likelihood for fit in maxima)
    floor = top - same_within(top)
    return next(fit for fit in maxima if fit.log_likelihood >= floor)


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
    drawn = fit.tree["membership"]["responsibilities"].to_numpy()
    permutation = labels.align_to_reference(drawn, reference)
    posterior = permute_posterior(fit.layout, fit.tree["posterior"].to_dataset(), permutation)
    return AlignedDraws(permutation, posterior, labels.permuted_mean(drawn, permutation))


def side_by_side(arranged: Arranged, draws: AlignedDraws) -> SideBySide:
    """Number every fit's components as EM's.

    Parameters
    ----------
    draws
        Those of the posterior that is compared in detail.
    """
    reference = arranged.em.responsibilities.to_numpy()
    found = {
        name: aligned_estimate(fit, reference, draws if fit is arranged.posterior else None)
        for name, fit in arranged.named.items()
    }
    parameters = pd.Index([p.name for p in arranged.em.parameters], name="parameter")
    return SideBySide(
        pd.DataFrame({name: estimate for name, (estimate, _) in found.items()}, index=parameters),
        {name: tau for name, (_, tau) in found.items()},
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
    if fit.backend == "pymc" and fit.options.get("ordered_by") is None:
        draws = draws or align_draws(fit, reference)
        mean = flatten(draws.posterior, fit.parameters).mean(axis=(0, 1))
        return np.asarray(mean), draws.responsibilities
    tau = fit.responsibilities.to_numpy()
    order = labels.align_to_reference(tau, reference)
    estimate = permute_posterior(fit.layout, fit.tree["estimate"].to_dataset(), order)
    return flatten(estimate, fit.parameters), tau[:, order]


def fits_table(arranged: Arranged, beside: SideBySide, sd: FloatArray) -> pd.DataFrame:
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
    reference = arranged.em.responsibilities.to_numpy()
    centre = beside.estimates["EM"].to_numpy()
    rows = {}
    for name, fit in arranged.named.items():
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
