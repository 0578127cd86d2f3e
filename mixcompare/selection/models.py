"""Several specifications of one data set, ranked by what their fits say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixcompare.base.errors import DataError
from mixcompare.checking.leave_one_out import LeaveOneOut, leave_one_out
from mixcompare.fits.fit import Fit
from mixcompare.model.spec import MixtureSpec
from mixcompare.selection.criteria_table import CRITERIA
from mixcompare.selection.standing import unranked

# What would change the rows, or what a unit is, and with them the likelihood's scale.
_SAME = ("unit", "absorb", "unit_weights")
_COVARIANCE = ("covariance", "covariance_by")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A specification with its fits.

    Attributes
    ----------
    spec
        The specification.
    em
        The highest maximum of the likelihood, a spurious one only if all are; None if there is
        none.
    posterior
        The posterior; None if there is none.
    """

    spec: MixtureSpec
    em: Fit | None
    posterior: Fit | None


def arrange_models(fits: Sequence[Fit]) -> dict[str, Model]:
    """Fits by specification, each named by what is not the same in all of them.

    Parameters
    ----------
    fits
        Of any number of specifications; modes of a posterior are left out.

    Raises
    ------
    DataError
        If units, outcomes or absorbed cells are not the same, so that likelihoods cannot be
        compared.
    """
    for fit in fits[1:]:
        _check(fits[0], fit)
    specs = list(dict.fromkeys(fit.spec for fit in fits))
    return {
        name: _model(spec, [fit for fit in fits if fit.spec == spec])
        for name, spec in zip(_names(specs), specs, strict=True)
    }


def models_table(models: Mapping[str, Model]) -> pd.DataFrame:
    """One row per model.

    Parameters
    ----------
    models
        From `arrange_models`.

    Returns
    -------
    n_parameters; of EM's fit the log_likelihood and every criterion of `CRITERIA`; of the
    posterior elpd, the expected log predictive density by leaving out units; elpd_difference
    from the best model and its se, ``sqrt(G)`` times the standard deviation of the units'
    differences (Vehtari, Gelman & Gabry 2017, eq. 24); p, the effective number of
    parameters; high_pareto_k, the number of units whose importance weights failed; unranked,
    why a posterior says nothing of these, empty if it does or there is none, see
    `mixcompare.selection.standing`. NaN where a model has no such fit.
    """
    reasons = {n: unranked(m.posterior, m.em) for n, m in models.items() if m.posterior is not None}
    left_out = {
        name: leave_one_out(model.posterior)
        for name, model in models.items()
        if model.posterior is not None and not reasons[name]
    }
    best = max(left_out, key=lambda name: left_out[name].elpd, default=None)
    rows = {}
    for name, model in models.items():
        loo = left_out.get(name)
        known = model.em or model.posterior
        assert known is not None
        rows[name] = {
            "n_parameters": known.n_parameters,
            **_criteria(model.em),
            **(_predictive(loo, left_out[best]) if loo is not None and best is not None else {}),
            "unranked": reasons.get(name, ""),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _model(spec: MixtureSpec, fits: Sequence[Fit]) -> Model:
    maxima = [f for f in fits if f.kind == "maximum"]
    posteriors = [f for f in fits if f.has_draws]
    return Model(
        spec,
        max(maxima, key=lambda f: (f.status != "spurious", f.log_likelihood), default=None),
        posteriors[0] if posteriors else None,
    )


def _names(specs: Sequence[MixtureSpec]) -> list[str]:
    plain = [spec.to_dict() for spec in specs]
    varying = [key for key in plain[0] if any(one[key] != plain[0][key] for one in plain)]
    return [", ".join(_phrases(stated, varying)) or "the model" for stated in plain]


def _phrases(spec: Mapping[str, object], varying: Sequence[str]) -> list[str]:
    words = {"n_components": "K"}
    said = [f"{words.get(n, n)} {_value(spec[n])}" for n in varying if n not in _COVARIANCE]
    if set(varying) & set(_COVARIANCE):
        by = "by component" if spec["covariance_by"] == "component" else "shared"
        parts = (
            str(spec["covariance"]) if "covariance" in varying else "",
            "covariance",
            by if "covariance_by" in varying else "",
        )
        said.append(" ".join(filter(None, parts)))
    return said


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return str({key: entry for key, entry in value.items() if entry is not None})
    return "none" if value is None else str(value)


def _check(first: Fit, other: Fit) -> None:
    one, two = first.panel, other.panel
    same = (
        one.outcome_names == two.outcome_names
        and np.array_equal(one.unit_labels, two.unit_labels)
        and np.array_equal(one.outcomes, two.outcomes)
        and all(getattr(first.spec, name) == getattr(other.spec, name) for name in _SAME)
    )
    if not same:
        raise DataError(
            "models can be compared only on the same units, outcomes, rows and absorbed cells: "
            f"{first.spec} and {other.spec} differ in one of these."
        )


def _criteria(em: Fit | None) -> dict[str, float]:
    if em is None:
        return {}
    return {
        "log_likelihood": em.log_likelihood,
        **{name: c.value(em) for name, c in CRITERIA.items() if c.value is not None},
    }


def _predictive(loo: LeaveOneOut, best: LeaveOneOut) -> dict[str, float]:
    apart = (loo.units["elpd"] - best.units["elpd"]).to_numpy()  # aligned by unit
    return {
        "elpd": loo.elpd,
        "elpd_difference": float(apart.sum()),
        "elpd_difference_se": float(np.sqrt(len(apart)) * apart.std()),
        "p": loo.p,
        "high_pareto_k": len(loo.high),
    }
