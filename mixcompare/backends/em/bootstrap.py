"""Bootstrap of EM fits: by resampled units or by simulation from the estimate."""

from __future__ import annotations

from collections.abc import Sequence
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
    with_prior = fit.kind == "mode"
    model = mixture_of(fit.spec, fit.problem.prepared, with_prior=with_prior)
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        rngs = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(replicates)]
        refits = _reweighted(fit, model, rngs) if kind == "units" else _resimulated(fit, rngs)
    group = _group(fit, model, refits)
    group.attrs = {"kind": kind, "seed": seed, **group.attrs}
    return fit.attached({"bootstrap": group})


def _reweighted(fit: Fit, model: Mixture, rngs: Sequence[np.random.Generator]) -> list[Refit]:
    """Refits to the same units, counted as often as they are drawn, in groups."""
    model = with_kernels(model, "auto", len(rngs))
    start = _start(fit, model)
    counted = fit.problem.prepared.replicated
    total = counted.sum()
    refits: list[Refit] = []
    for group in batched(rngs, starts_together(model)):
        drawn = [rng.multinomial(max(round(total), 1), counted / total) for rng in group]
        weighing = model.weighing(np.array(drawn, dtype=float))
        same = np.broadcast_to(start, (len(group), *start.shape))
        refits += [_end(model, run) for run in iterate_together(weighing, same, Options())]
    return refits


def _resimulated(fit: Fit, rngs: Sequence[np.random.Generator]) -> list[Refit]:
    """Refits to outcomes simulated from the estimate."""
    refits = []
    for rng in rngs:
        drawn, _ = simulate(fit.spec, fit.panel, fit.estimate, rng)
        prepared = Problem.of(fit.spec, drawn).prepared
        model = mixture_of(fit.spec, prepared, with_prior=fit.kind == "mode")
        refits.append(_end(model, iterate(model, _start(fit, model), Options())))
    return refits


def _start(fit: Fit, model: Mixture) -> FloatArray:
    return model.expect(model.from_raw(model.theta(fit.estimate))).occupancy


def _end(model: Mixture, run: Run) -> Refit:
    return model.to_raw(run.path[-1]) if run.status == "converged" else run


def _group(fit: Fit, model: Mixture, runs: list[Refit]) -> xr.Dataset:
    kept = [run for run in runs if isinstance(run, Theta)]
    failed = [run.message for run in runs if isinstance(run, Run)]
    if not kept:
        raise DataError(
            f"all {len(runs)} replicates failed ({failed[0]}): the fit is too fragile to "
            "bootstrap. Ask for fewer components or a simpler covariance."
        )
    reference = fit.responsibilities.to_numpy()
    aligned = [_aligned(model, theta, reference).blocks for theta in kept]
    arrays = {name: np.stack([blocks[name] for blocks in aligned])[None] for name in aligned[0]}
    coords = coordinates(fit.spec, fit.problem.prepared)
    group = parameter_dataset(fit.layout, coords, ("chain", "draw"), **arrays)
    reasons = "; ".join(dict.fromkeys(failed))
    group.attrs = {"replicates": len(runs), "failures": len(failed), "reasons": reasons}
    return group


def _aligned(model: Mixture, theta: Theta, reference: FloatArray) -> Theta:
    occupancy = model.occupancy(model.from_raw(theta))
    return model.permute(theta, labels.align_to_reference(occupancy, reference))
