"""Bootstrap of EM fits: by resampled units or by simulation from the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Literal, get_args

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from mixcompare import labels
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.kernels.compiled_mixture import with_kernels
from mixcompare.backends.em.loop import iterate, iterate_together, starts_together
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Run
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_choice, check_seed, check_whole
from mixcompare.base.errors import DataError
from mixcompare.base.machine import check_memory
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.fits.tree import coordinates, parameter_dataset
from mixcompare.prepared.problem import Problem
from mixcompare.simulate.outcomes import simulate

Kind = Literal["units", "parametric"]
# What a replicate keeps at the least.
_BYTES = 500
# The replicate's parameters in raw units, or the run that failed.
type Refit = Theta | Run


def bootstrap(fit: Fit, *, replicates: int = 200, kind: Kind = "units", seed: int = 0) -> Fit:
    """Refit replicates of the data by EM, started from the estimate.

    A fit of the posterior's mode is refitted with the same priors, ``"units"`` with those
    that were scaled to the original data.

    The start keeps replicates near the estimate's own optimum: the spread is that of this
    optimum, not of the choice between several.

    Parameters
    ----------
    fit
        A fit with ``backend="em"``.
    replicates
        Number of replicates.
    kind
        ``"units"`` draws whole units with replacement, which allows for any dependence
        within a unit (Davison & Hinkley 1997, section 3.8); ``"parametric"`` simulates
        outcomes from the estimate on the same design (McLachlan & Peel 2000, section 2.16).
    seed
        Root of the random numbers; replicate i is the same whatever their number.

    Returns
    -------
    Fit
        The same fit with a group ``bootstrap`` (chain, draw, ...) of weights, coefficients
        and covariances, components aligned to the estimate on the original units, as
        ArviZ takes them. Replicates that ended degenerate or at the iteration limit are left
        out and counted in the group's attributes ``failures`` and ``reasons``.

    Raises
    ------
    DataError
        If the fit is no EM fit, or every replicate failed.
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> em = mc.fit(spec, load("gapminder"), starts=5, seed=1)
    >>> replicates = mc.bootstrap(em, replicates=5, kind="units", seed=1).tree["bootstrap"]
    >>> replicates["weights"].shape
    (1, 5, 2)
    """
    check_fit(fit, "bootstrap")
    if not fit.is_optimum:
        raise DataError("bootstrap needs a fit with backend='em'; a posterior has draws already.")
    check_choice("kind", kind, get_args(Kind))
    check_whole("replicates", replicates)
    check_seed(seed)
    check_memory(replicates * _BYTES, f"replicates = {replicates}")
    source = _source(fit)
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        seeds = np.random.SeedSequence(seed).spawn(replicates)
        refit = _reweighted if kind == "units" else _resimulated
        runs = refit(source, [np.random.default_rng(child) for child in seeds])
    return fit.attached({"bootstrap": _group(source, runs, kind, seed)})


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What replicates are made from; the estimate is in raw units."""

    fit: Fit
    model: Mixture
    estimate: Theta


def _source(fit: Fit) -> _Source:
    model = mixture_of(fit.spec, fit.problem.prepared, with_prior=fit.kind == "mode")
    return _Source(fit, model, model.theta(fit.estimate))


def _reweighted(source: _Source, rngs: Sequence[np.random.Generator]) -> list[Refit]:
    """Refits to the same units, counted as often as they are drawn, in groups."""
    model = with_kernels(source.model, "auto", len(rngs))
    start = model.expect(model.from_raw(source.estimate)).occupancy
    counted = source.fit.problem.prepared.replicated
    total = counted.sum()
    refits: list[Refit] = []
    for group in batched(rngs, starts_together(model)):
        drawn = [rng.multinomial(max(round(total), 1), counted / total) for rng in group]
        weighing = model.weighing(np.array(drawn, dtype=float))
        same = np.broadcast_to(start, (len(group), *start.shape))
        refits += [_end(model, run) for run in iterate_together(weighing, same, Options())]
    return refits


def _resimulated(source: _Source, rngs: Sequence[np.random.Generator]) -> list[Refit]:
    """Refits to outcomes simulated from the estimate."""
    return [_refit(source, rng) for rng in rngs]


def _refit(source: _Source, rng: np.random.Generator) -> Refit:
    spec = source.fit.spec
    drawn, _ = simulate(spec, source.fit.panel, source.estimate.blocks, rng)
    prepared = Problem.of(spec, drawn).prepared
    model = mixture_of(spec, prepared, with_prior=source.model.has_prior)
    start = model.expect(model.from_raw(source.estimate)).occupancy
    return _end(model, iterate(model, start, Options()))


def _end(model: Mixture, run: Run) -> Refit:
    return model.to_raw(run.path[-1]) if run.status == "converged" else run


def _group(source: _Source, runs: list[Refit], kind: Kind, seed: int) -> xr.Dataset:
    kept = [run for run in runs if isinstance(run, Theta)]
    failed = [run.message for run in runs if isinstance(run, Run)]
    if not kept:
        raise DataError(
            f"all {len(runs)} replicates failed ({failed[0]}): the fit is too fragile to "
            "bootstrap. Ask for fewer components or a simpler covariance."
        )
    reference = source.fit.responsibilities.to_numpy()
    aligned = [_aligned(source.model, theta, reference).blocks for theta in kept]
    arrays = {name: np.stack([blocks[name] for blocks in aligned])[None] for name in aligned[0]}
    coords = coordinates(source.fit.spec, source.fit.problem.prepared)
    group = parameter_dataset(source.fit.layout, coords, ("chain", "draw"), **arrays)
    group.attrs = {
        "kind": kind,
        "seed": seed,
        "replicates": len(runs),
        "failures": len(failed),
        "reasons": "; ".join(dict.fromkeys(failed)),
    }
    return group


def _aligned(model: Mixture, theta: Theta, reference: FloatArray) -> Theta:
    occupancy = model.occupancy(model.from_raw(theta))
    return model.permute(theta, labels.align_to_reference(occupancy, reference))
