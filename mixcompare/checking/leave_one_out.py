"""How well is each unit predicted from the others? Leave-one-unit-out cross-validation.

A unit's whole series is left out at a time. Importance weights, their tail smoothed, stand in
for the posterior without it (Vehtari, Gelman & Gabry 2017; Vehtari et al. 2024); where the
tail's shape k is above 0.7 they fail, and the remedy is to sample that posterior itself.

A unit of weight w counts as w units with the same rows: they are left out together, and what
is scored is their joint density, with each of the w copies' classes independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from mixcompare.backends import build_options, get_backend
from mixcompare.base.checks import check_whole
from mixcompare.base.errors import OptionError
from mixcompare.checking.psis import leave_one_out_density
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.fits.summary import convergence

HIGH_PARETO_K: Final = 0.7
REFIT: Final = "exact refit"
_FEWEST_DRAWS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class LeaveOneOut:
    """What `leave_one_out` finds.

    Attributes
    ----------
    units
        One row per unit whose density varies: elpd (expected log predictive density), p
        (its share of the effective number of parameters), pareto_k, weight, remedy
        (``"exact refit"``, that with the sampler's status where it did not converge, or
        empty) and mcse (Monte Carlo standard error of a refit's elpd); those with the
        largest k first.
    """

    units: pd.DataFrame

    @property
    def elpd(self) -> float:
        """Sum over units; NaN where there were too few draws."""
        return float(self.units["elpd"].sum(skipna=False))

    @property
    def se(self) -> float:
        """Standard error of `elpd` by the units' spread."""
        return float(np.sqrt(len(self.units)) * self.units["elpd"].std())

    @property
    def p(self) -> float:
        """Effective number of parameters."""
        return float(self.units["p"].sum(skipna=False))

    @property
    def high(self) -> pd.DataFrame:
        """Units with Pareto k above 0.7."""
        return self.units[self.units["pareto_k"] > HIGH_PARETO_K]

    @property
    def unresolved(self) -> int:
        """Units with a high Pareto k that were not refitted."""
        return int((self.high["remedy"] == "").sum())

    @property
    def sentence(self) -> str:
        """How far the result can be trusted."""
        high, refitted = len(self.high), len(self.high) - self.unresolved
        if not high:
            return f"No unit has a Pareto k above {HIGH_PARETO_K:g}: importance weights suffice."
        units = "1 unit has" if high == 1 else f"{high} units have"
        done = f"{refitted} of them refitted exactly" if refitted else "none of them refitted"
        rest = "" if not self.unresolved else "; elpd is unreliable until they are (refit=...)"
        return f"{units} a Pareto k above {HIGH_PARETO_K:g}, {done}{rest}."

    def __repr__(self) -> str:
        return f"<mixcompare.LeaveOneOut elpd {self.elpd:.2f} (se {self.se:.2f}); {self.sentence}>"


def leave_one_out(fit: Fit, *, refit: int = 0, seed: int = 0) -> LeaveOneOut:
    """Cross-validate a posterior unit by unit.

    Parameters
    ----------
    fit
        A fit with a posterior.
    refit
        If at most so many units have a Pareto k above 0.7, the posterior without each of
        them is sampled with the fit's own options; if more have, none is, since then the
        model rather than the method is in doubt.
    seed
        Root of the refits' random numbers.

    Returns
    -------
    LeaveOneOut
        The priors stay those of the whole data: a refit does not scale them again.

    Raises
    ------
    OptionError
        If the fit has no posterior or refit is negative.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> few = {"draws": 200, "tune": 200, "chains": 2, "sampler": "pymc", "progress": False}
    >>> nuts = mc.fit(spec, load("gapminder"), backend="pymc", seed=1, **few)
    >>> units = mc.leave_one_out(nuts).units
    >>> len(units), list(units.columns[:3])
    (142, ['elpd', 'p', 'pareto_k'])
    """
    check_fit(fit, "leave_one_out")
    if not fit.has_draws:
        raise OptionError(f"leave_one_out needs a posterior, not a fit by {fit.backend!r}.")
    check_whole("refit", refit, lowest=0)
    units = _importance_sampled(fit)
    high = np.flatnonzero(units["pareto_k"].to_numpy() > HIGH_PARETO_K)
    if 0 < len(high) <= refit:
        position = {label: i for i, label in enumerate(fit.panel.unit_labels.tolist())}
        for row, spawned in zip(high, np.random.SeedSequence(seed).spawn(len(high)), strict=True):
            label = units.index.tolist()[row]
            elpd, error, status = _refitted(fit, position[label], spawned)
            units.loc[label, "p"] += units.loc[label, "elpd"] - elpd
            units.loc[label, ["elpd", "mcse"]] = elpd, error
            units.loc[label, "remedy"] = REFIT if status == "converged" else f"{REFIT}, {status}"
    return LeaveOneOut(units.sort_values("pareto_k", ascending=False, kind="stable"))


def _importance_sampled(fit: Fit) -> pd.DataFrame:
    log_likelihood = fit.tree["log_likelihood"].to_dataset()["outcomes"]
    # A unit without rows left after absorption has a constant density and no say.
    moving = (log_likelihood.std(("chain", "draw")) > 0).to_numpy()
    varying = log_likelihood.isel(unit=moving)
    weights = fit.panel.unit_weights
    table = pd.DataFrame(
        {
            "elpd": np.nan,
            "p": np.nan,
            "pareto_k": np.nan,
            "weight": 1.0 if weights is None else weights[moving],
            "remedy": "",
            "mcse": np.nan,
        },
        index=pd.Index(fit.panel.unit_labels[moving], name="unit"),
    )
    n_draws = varying.sizes["chain"] * varying.sizes["draw"]
    if n_draws < _FEWEST_DRAWS or not moving.any():
        return table
    drawn = varying.to_numpy().reshape(n_draws, -1)
    efficiency = _relative_efficiency(fit.tree["posterior"].to_dataset(), n_draws)
    table["elpd"], table["pareto_k"] = leave_one_out_density(drawn, efficiency)
    table["p"] = logsumexp(drawn, axis=0) - np.log(n_draws) - table["elpd"]
    return table


def _relative_efficiency(posterior: xr.Dataset, n_draws: int) -> float:
    """Effective number of draws per draw, on average over the parameters, as `arviz.loo` has it."""
    import arviz as az  # slow to import, needed by few

    if posterior.sizes["chain"] == 1:
        return 1.0
    effective = az.ess(posterior, method="mean")
    return float(
        np.concatenate([e.to_numpy().ravel() for e in effective.values()]).mean() / n_draws
    )


def _refitted(fit: Fit, unit: int, seed: np.random.SeedSequence) -> tuple[float, float, str]:
    """A unit's elpd by the posterior without it, its Monte Carlo error and that fit's status."""
    problem = fit.problem.with_fixed_priors()
    backend = get_backend(fit.backend)
    options = build_options(fit.backend, {**fit.options, "progress": False})
    training = problem.without_unit(unit)
    result = backend.run(training, options, seed)
    assert result.draws is not None
    sampled = result.draws.parameters
    draws = {name: values.reshape(-1, *values.shape[2:]) for name, values in sampled.items()}
    weighted = backend.scorer(training).unit_log_likelihood(draws, problem.only_unit(unit))[:, 0]
    relative = np.exp(weighted - weighted.max())
    by_draw = relative.reshape(*sampled["weights"].shape[:2], 1)
    error = float(convergence(by_draw, ["mcse_mean"])["mcse_mean"][0] / relative.mean())
    elpd = float(logsumexp(weighted) - np.log(len(weighted)))
    return elpd, error, result.status
