"""How much of the posterior is the prior's doing? Power-scaling sensitivity.

The prior, or the likelihood, is raised to powers near one, and the posterior's change is
found by importance weights, without another fit (Kallioinen, Paananen, Buerkner & Vehtari
2024). A parameter that moves with the prior and with the likelihood is one on which the two
disagree; one that moves with the prior alone is one of which the data say little.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.model.layout import flatten

CONFLICT: Final = "prior-data conflict"
STRONG: Final = "strong prior"
# Of the sensitivity, the size above which Kallioinen et al. (section 3.2) call it noteworthy.
THRESHOLD: Final = 0.05
_FEWEST_DRAWS: Final = 100
_SAMPLE: Final = ("chain", "draw")


def prior_sensitivity(
    fit: Fit, aligned: xr.Dataset | None = None, *, threshold: float = THRESHOLD
) -> pd.DataFrame:
    """Power-scaling sensitivity of every parameter, on aligned draws.

    The prior's density is that of the parameters themselves; of another parametrisation
    power-scaling would be another.

    Parameters
    ----------
    fit
        A fit with a posterior.
    aligned
        The posterior's parameters with labels aligned; by default as the fit aligns them.
    threshold
        Sensitivity from which a parameter is flagged.

    Returns
    -------
    One row per parameter: prior and likelihood (cumulative Jensen-Shannon distance per
    doubling of the power), one column ``prior of ...`` for each array of parameters whose prior
    alone was scaled, source (the array whose prior matters most, where the parameter is
    flagged) and diagnosis (``"prior-data conflict"``, ``"strong prior"`` or empty). NaN for
    a parameter that never varies, and for all where there are too few draws for the tail of
    the importance weights.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> few = {"draws": 200, "tune": 200, "chains": 2, "sampler": "pymc", "progress": False}
    >>> nuts = mc.fit(spec, load("gapminder"), backend="pymc", seed=1, **few)
    >>> bool((mc.prior_sensitivity(nuts)["likelihood"] > 0).all())
    True
    """
    check_fit(fit, "prior_sensitivity")
    draws = flatten(
        fit.tree["posterior"].to_dataset() if aligned is None else aligned, fit.parameters
    )
    varies = np.ptp(draws, axis=(0, 1)) > 0
    if draws.shape[0] * draws.shape[1] < _FEWEST_DRAWS:
        varies[:] = False
    tree = _tree(fit, draws[..., varies])
    parts = [str(name) for name in tree["log_prior"].data_vars]
    scaled = {
        "prior": ("prior", None),
        "likelihood": ("likelihood", None),
        **{f"prior of {name}": ("prior", name) for name in parts},
    }
    names = [p.name for p in fit.parameters]
    table = pd.DataFrame(np.nan, index=pd.Index(names, name="parameter"), columns=list(scaled))
    if varies.any():
        for column, (group, name) in scaled.items():
            table.loc[varies, column] = _scale(tree, group, name)
    flagged = table["prior"] >= threshold
    by_part = table[[f"prior of {name}" for name in parts]].fillna(0.0).to_numpy()
    source = np.array(parts, dtype=object)[by_part.argmax(axis=1)]
    conflict = np.where(table["likelihood"] >= threshold, CONFLICT, STRONG)
    return table.assign(
        source=np.where(flagged, source, ""), diagnosis=np.where(flagged, conflict, "")
    )


def _tree(fit: Fit, draws: FloatArray) -> xr.DataTree:
    sample = {name: np.arange(draws.shape[i]) for i, name in enumerate(_SAMPLE)}
    # Draws of one number each under one name: parameters' own names may hold anything.
    posterior = xr.Dataset({"parameters": ((*_SAMPLE, "parameter"), draws)}, coords=sample)
    log_prior = fit.tree["log_prior"].to_dataset()
    log_likelihood = fit.log_likelihood_by_draw
    # Centred, because powers of a density have no constant and may underflow with one.
    return xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "log_prior": (log_prior - log_prior.mean()).assign_coords(sample),
            "log_likelihood": xr.Dataset(
                {"outcomes": (_SAMPLE, log_likelihood - log_likelihood.mean())}, coords=sample
            ),
        }
    )


def _scale(tree: xr.DataTree, group: str, name: str | None) -> FloatArray:
    from arviz_stats import psense  # slow to import, needed by few

    if name is not None and not np.ptp(tree["log_prior"][name].to_numpy()) > 0:
        return np.zeros(tree["posterior"].sizes["parameter"])  # a flat prior has no say
    result = psense(tree, group=group, group_var_names=name)
    return np.asarray(result["parameters"].to_numpy())


def sensitivity_sentence(table: pd.DataFrame) -> str:
    """The table of `prior_sensitivity` in short."""
    if not table["prior"].notna().any():
        return "There are too few draws to measure how the posterior depends on the prior."
    flagged = table[table["diagnosis"] != ""]
    if flagged.empty:
        return (
            f"No parameter moves noticeably with the prior: the largest power-scaling sensitivity "
            f"is {table['prior'].max():.3f} ({table['prior'].idxmax()})."
        )
    counts = [
        f"{number} of {len(table)} parameters {'shows' if number == 1 else 'show'} {article}{what}"
        for article, what in (("", CONFLICT), ("a ", STRONG))
        if (number := int((flagged["diagnosis"] == what).sum()))
    ]
    worst = str(flagged["prior"].idxmax())
    return (
        f"{' and '.join(counts)}; the most, {worst} ({flagged['prior'][worst]:.3f}), through the "
        f"prior of {flagged['source'][worst]}."
    )
