"""Simulation-based calibration: does the posterior know what it does not know?

Parameters are drawn from the prior, outcomes for the panel's design from them, and the
posterior is sampled; the truth's rank among the draws must be uniform, for every quantity
of parameters and data (Talts et al. 2018; Modrak et al. 2023, who show that the likelihood
is one of the most telling quantities). Quantities that do not depend on labels need nothing
more. Labelled parameters are aligned first, the truth by the same rule as the draws: to the
class probabilities that the posterior gives the units, a function of the data alone but for
Monte Carlo error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare import labels
from mixcompare.backends import fit as fit_model
from mixcompare.backends import get_backend, occupancy_at
from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_whole
from mixcompare.base.errors import OptionError
from mixcompare.base.machine import check_memory
from mixcompare.checking.rank_uniformity import Uniformity, holm, rank, uniformity
from mixcompare.data.panel import Panel, build_panel
from mixcompare.fits.fit import Fit
from mixcompare.fits.summary import convergence, thinned
from mixcompare.fits.tree import coordinates, parameter_dataset, permute_posterior
from mixcompare.model.spec import MixtureSpec, check_spec
from mixcompare.prepared.problem import Problem
from mixcompare.simulate.outcomes import simulate
from mixcompare.simulate.prior_draws import draw_priors

# Uniform ranks, all quantities together, look at least this surprising with this probability.
SIGNIFICANT: Final = 0.05
_FEWEST_REPLICATES: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What `calibrate` finds.

    Attributes
    ----------
    ranks
        (replicate, quantity) numbers from 0 to `largest`.
    largest
        Number of draws among which the truth was ranked.
    replicates
        One row per replicate: status of its fit, ess (bulk effective draws of the
        log-likelihood), r_hat of the log-likelihood and seconds.
    seed
        Root of the random numbers.
    """

    ranks: pd.DataFrame
    largest: int
    replicates: pd.DataFrame
    seed: int

    def uniformity(self) -> Uniformity:
        """Distribution of the ranks within its simultaneous band."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed).spawn(3)[2])
        return uniformity(self.ranks.to_numpy(), self.largest, rng)

    @property
    def table(self) -> pd.DataFrame:
        """One row per quantity: how its ranks are distributed.

        Columns mean (of rank over `largest`; 0.5 is expected), z (of that mean), p and
        p_adjusted (Holm) of uniformity, and outside (whether it leaves its 95 % band).
        """
        scaled = self.ranks.to_numpy() / self.largest
        n, levels = len(scaled), self.largest + 1
        spread = np.sqrt((levels + 1) / (levels - 1) / 12)
        p = self.uniformity().p
        return pd.DataFrame(
            {
                "mean": scaled.mean(axis=0),
                "z": (scaled.mean(axis=0) - 0.5) / spread * np.sqrt(n),
                "p": p,
                "p_adjusted": holm(p),
                "outside": p < 0.05,
            },
            index=pd.Index(self.ranks.columns, name="quantity"),
        )

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        table = self.table
        worst = str(table["p_adjusted"].idxmin())
        least = float(table["p_adjusted"].min())
        outside = int(table["outside"].sum())
        counts = (
            f"{len(self.ranks)} replicates, {len(table)} quantities: {outside} leave their own "
            f"95 % band; the smallest adjusted p is {least:.3g} ({worst})."
        )
        verdict = "not uniform" if least < SIGNIFICANT else "uniform as far as can be told"
        return f"Ranks are {verdict}. {counts}"

    def __repr__(self) -> str:
        return f"<mixcompare.Calibration {self.sentence}>"


def calibrate(
    spec: MixtureSpec,
    data: Any,
    *,
    replicates: int = 200,
    ranked: int = 99,
    seed: int = 0,
    after_each: Callable[[int], None] | None = None,
    **options: Any,
) -> Calibration:
    """Calibrate the PyMC backend over a specification's prior.

    Parameters
    ----------
    spec
        The model; its priors, resolved once on the data given, are the law of the truths.
    data
        The design: units, cells and covariates. Its outcomes only scale default priors.
    replicates
        How many data sets are simulated and fitted.
    ranked
        Among how many draws the truth is ranked: evenly spaced ones, which should be few
        enough to be nearly independent.
    seed
        Root of the random numbers.
    after_each
        Called with the number of replicates that are done.
    **options
        Of the PyMC backend.

    Raises
    ------
    OptionError
        If there are fewer than 20 replicates, fewer draws than are to be ranked among, or
        the specification has unit weights, which no simulation has made.

    Examples
    --------
    >>> import numpy as np, mixcompare as mc
    >>> spec = mc.MixtureSpec("y ~ 1", n_components=1)
    >>> design = {"y": np.random.default_rng(0).normal(size=10)}
    >>> few = {"replicates": 20, "ranked": 19, "draws": 100, "tune": 100, "chains": 1}
    >>> found = mc.calibrate(spec, design, seed=1, **few)  # doctest: +SKIP
    >>> found.ranks.shape  # doctest: +SKIP
    (20, 11)
    """
    check_spec(spec, "calibrate")
    check_whole("replicates", replicates, _FEWEST_REPLICATES)
    check_memory(500.0 * replicates, f"replicates = {replicates}")
    panel = data if isinstance(data, Panel) else build_panel(spec, data)
    problem = Problem.of(spec, panel).with_fixed_priors()
    fixed = problem.spec
    prior_seed, replicate_seed, _ = np.random.SeedSequence(seed).spawn(3)
    truths = draw_priors(problem, replicates, np.random.default_rng(prior_seed))
    ranks, records = [], []
    for i, spawned in enumerate(replicate_seed.spawn(replicates)):
        truth = {name: values[i] for name, values in truths.items()}
        ranks_of_truth, record = _replicate(fixed, panel, truth, ranked, spawned, options)
        ranks.append(ranks_of_truth)
        records.append(record)
        if after_each is not None:
            after_each(i + 1)
    frame = pd.DataFrame(ranks).rename_axis("replicate")
    return Calibration(frame, ranked, pd.DataFrame(records).rename_axis("replicate"), seed)


def _replicate(
    spec: MixtureSpec,
    design: Panel,
    truth: Mapping[str, FloatArray],
    ranked: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
) -> tuple[dict[str, int], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    panel, _ = simulate(spec, design, truth, rng)
    fit = fit_model(
        spec, panel, backend="pymc", seed=int(rng.integers(2**31)), **{"progress": False, **options}
    )
    true_values = true_quantities(fit, truth)
    drawn = drawn_quantities(fit)
    names = list(true_values)
    values = np.stack([drawn[name] for name in names], axis=-1)
    total = values.shape[0] * values.shape[1]
    if total < ranked:
        raise OptionError(f"{total} draws are fewer than the {ranked} to be ranked among.")
    kept = thinned(values, ranked)
    ranks = rank(np.array([true_values[name] for name in names]), kept, rng)
    measures = convergence(drawn["log-likelihood"][..., None], ("ess_bulk", "r_hat"))
    record = {
        "status": fit.status,
        "ess": float(measures["ess_bulk"][0]),
        "r_hat": float(measures["r_hat"][0]),
        "seconds": fit.seconds,
    }
    return dict(zip(names, map(int, ranks), strict=True)), record


def true_quantities(fit: Fit, truth: Mapping[str, FloatArray]) -> dict[str, float]:
    """Quantities that the ranks are of, of parameters (K, ...) by name."""
    scorer = get_backend(fit.backend).scorer(fit.problem)
    at = {name: values[None] for name, values in truth.items()}
    log_likelihood, tau = scorer.unit_log_likelihood(at), scorer.occupancy(at)
    coords = coordinates(fit.spec, fit.problem.prepared)
    dataset = parameter_dataset(fit.layout, coords, (), **dict(truth)).expand_dims(
        ("chain", "draw")
    )
    at_truth = _quantities(fit, dataset, tau[None], log_likelihood.sum(axis=-1)[None])
    return {name: float(value[0, 0]) for name, value in at_truth.items()}


def drawn_quantities(fit: Fit) -> dict[str, FloatArray]:
    """The same quantities (chain, draw) of a posterior's draws."""
    posterior, tau = fit.posterior_as_sampled, occupancy_at(fit, fit.draws.numbers)
    return _quantities(fit, posterior, tau, fit.log_likelihood_by_draw)


def _quantities(
    fit: Fit, parameters: xr.Dataset, tau: FloatArray, log_likelihood: FloatArray
) -> dict[str, FloatArray]:
    """Quantities (chain, draw) of draws, or of the truth as if it were one draw."""
    permutation = labels.align_to_reference(tau, fit.responsibilities.to_numpy())
    aligned = fit.layout.flatten(permute_posterior(fit.layout, parameters, permutation))
    units = tau.shape[-2]
    together = (tau.sum(axis=-2) ** 2).sum(axis=-1) - (tau**2).sum(axis=(-2, -1))
    return {
        "log-likelihood": log_likelihood,
        "pairs of units in one class": together / (units * (units - 1)),
        **_ordered(fit, parameters),
        **{f"aligned {p.name}": aligned[..., i] for i, p in enumerate(fit.parameters)},
    }


def _ordered(fit: Fit, parameters: xr.Dataset) -> dict[str, FloatArray]:
    """Smallest and largest over the classes of every parameter that the classes have."""
    values = fit.layout.flatten(parameters)
    groups: dict[str, list[int]] = {}
    for i, parameter in enumerate(fit.parameters):
        # Log-odds are against another class where classes are renumbered.
        rebased = fit.layout[parameter.variable].order == "rebased"
        if parameter.component is not None and not rebased:
            without = parameter.name.replace(f"[{parameter.component}", "[", 1)
            groups.setdefault(without, []).append(i)
    ends = {}
    for name, members in groups.items():
        short = name.replace("[, ", "[").replace("[]", "")
        ends[f"smallest {short}"] = values[..., members].min(axis=-1)
        ends[f"largest {short}"] = values[..., members].max(axis=-1)
    return ends
