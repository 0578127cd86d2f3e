"""Prediction for new rows and units: one interface for both backends."""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.checks import check_choice, check_number, check_seed, check_whole
from mixcompare.base.errors import DataWarning, OptionError
from mixcompare.base.machine import check_memory
from mixcompare.data.new_rows import NewRows, new_rows
from mixcompare.data.panel import Missing
from mixcompare.data.within import within_cells
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.model.layout import COMPONENT
from mixcompare.prediction.class_probabilities import Units, class_probabilities
from mixcompare.prediction.draws import draw_outcomes
from mixcompare.prediction.fitted import Summary, design, fitted_values, summarise
from mixcompare.prediction.samples import Samples, parameter_samples
from mixcompare.simulate.samplers import sampler_of

ClassesFrom = Literal["prior", "outcomes"]

_DIMS = {
    "prior_probabilities": ("unit", COMPONENT),
    "responsibilities": ("unit", COMPONENT),
    "fitted_by_class": ("row", COMPONENT, "outcome"),
    "fitted": ("row", "outcome"),
    "fitted_given_outcomes": ("row", "outcome"),
}
_LEVELS = "outcomes"
_DEVIATIONS = "deviations from the means of the absorbed cells' rows in the data"


def predict(
    fit: Fit,
    data: Any = None,
    *,
    classes: ClassesFrom = "outcomes",
    units: Units = "new",
    missing: Missing = "error",
    draws: int | None = None,
    interval: float = 0.95,
) -> xr.Dataset:
    """Class probabilities, fitted values and predictive densities of rows and their units.

    An EM fit predicts at its estimate. A posterior's predictions are averages over its
    aligned draws with equal-tailed intervals; the predictive density is the logarithm of the
    average density. Its responsibilities average those of the draws: new units do not change
    what the fitted data say of the parameters.

    Parameters
    ----------
    fit
        A fit of either backend.
    data
        A table as `mixcompare.fit` takes it, evaluated with the categories, knots, centres and
        scales of the fitted data; a `Panel` with the same columns; or None for the fitted rows.
        Outcomes may be missing, in the whole table or in some rows: such rows are predicted
        and say nothing of their unit's class. Replication weights are not read.
    classes
        ``"outcomes"``: what the data's outcomes say of the classes. ``"prior"``: outcomes are
        not read, and classes are known from their probabilities before them alone.
    units
        ``"new"``: classes are known from the weights (or the membership covariates) and
        the data's outcomes alone, whatever the units' labels. ``"known"``: units are those
        that were fitted, and the data are further rows of theirs: their class probabilities
        before the data are the fit's responsibilities.
    missing
        ``"error"`` or ``"drop"`` for rows in which covariates, units, cells or only some of
        the outcomes are missing.
    draws
        How many of the posterior's draws to use, evenly spread; None for all.
    interval
        Probability of the intervals.

    Returns
    -------
    xarray.Dataset
        ``prior_probabilities`` (unit, mixture_component)
            Class probabilities before the outcomes.
        ``responsibilities`` (unit, mixture_component)
            Class probabilities given the unit's outcomes.
        ``log_predictive_density`` (unit)
            Of the unit's outcomes, all constants in; 0 for units without any.
        ``fitted_by_class`` (row, mixture_component, outcome)
            Expected outcomes given the class.
        ``fitted``, ``fitted_given_outcomes`` (row, outcome)
            Their averages over prior probabilities and over responsibilities.
        ``observed`` (row, outcome)
            The outcomes given.
        ``unit_index`` (row)
            Position of the row's unit along ``unit``.

        Rows are in the data's order, numbered from 0 in ``row``. What needs outcomes is absent
        if no row has any. From a posterior, probabilities and fitted values have their
        ``..._interval`` beside them, with a dim ``bound``. Beside absorbed effects fitted values
        and observed outcomes are deviations from the means of the cell's rows in the data, since
        the cells' own effects are not estimated; the attribute ``scale`` says so. The attribute
        ``classes`` is ``"prior"`` where no outcomes were read.

    Raises
    ------
    DataError
        If the data do not suit the fit; an unknown category is named with its column and row,
        and a column that is nearly called like an outcome with the outcome that is not there.
    OptionError
        If an option is out of range.

    Warns
    -----
    DataWarning
        If new units have no outcomes at all and ``classes="prior"`` does not say so.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> em = mc.fit(spec, load("gapminder"), starts=5, seed=1)
    >>> predicted = mc.predict(em, {"country": ["new"], "t": [2.0]}, classes="prior")
    >>> predicted["fitted_by_class"].shape
    (1, 2, 1)
    """
    check_number("interval", interval, lambda x: 0 < x < 1, "a probability between 0 and 1")
    rows = _rows(fit, "predict", data, classes, units, missing)
    if classes == "outcomes" and units == "new" and not rows.observed.any():
        warnings.warn(_without_outcomes(fit), DataWarning, stacklevel=2)
    samples = parameter_samples(fit, draws)
    known = class_probabilities(fit, samples, rows, units)
    by_unit = {"prior_probabilities": known.prior}
    averages = {"fitted": known.prior}
    if rows.observed.any():
        by_unit["responsibilities"] = known.responsibilities
        averages["fitted_given_outcomes"] = known.responsibilities
    summaries = {name: summarise(values, interval) for name, values in by_unit.items()}
    summaries |= fitted_values(samples, rows, averages, interval)
    dataset = _dataset(fit, rows, summaries, samples)
    if rows.observed.any():
        density = logsumexp(known.log_density, axis=0) - np.log(samples.n_samples)
        dataset["log_predictive_density"] = (("unit",), density)
        dataset["observed"] = (("row", "outcome"), _observed(rows))
    if samples.draws is not None:
        dataset.attrs["interval"] = interval
    return dataset


def predictive_draws(
    fit: Fit,
    data: Any = None,
    *,
    seed: int,
    draws: int | None = None,
    classes: ClassesFrom = "prior",
    units: Units = "new",
    missing: Missing = "error",
) -> xr.Dataset:
    """Draws of outcomes for rows, each with the classes of their units.

    Parameters
    ----------
    fit, data, units, missing
        As in `predict`.
    seed
        Root of the random numbers.
    draws
        An EM fit: how many sets of outcomes to draw at the estimate (1,000 by default), which
        leaves out the uncertainty about the parameters. A posterior: how many of its draws
        to use, each for one set of outcomes (all by default).
    classes
        Where a unit's class is drawn from: ``"prior"`` probabilities, as for a unit not seen
        yet, or its probabilities given the data's ``"outcomes"``, as for a check of the
        fit by class.

    Returns
    -------
    xarray.Dataset
        ``outcomes`` (draw, row, outcome) and ``classes`` (draw, unit), numbered as the fit's
        components from 1; ``unit_index`` (row). Beside absorbed effects outcomes are
        deviations from the means of the cell's rows, see `predict`.

    Raises
    ------
    DataError, OptionError
        As in `predict`.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> em = mc.fit(spec, load("gapminder"), starts=5, seed=1)
    >>> drawn = mc.predictive_draws(em, {"country": ["new"], "t": [2.0]}, draws=100, seed=1)
    >>> drawn["outcomes"].shape
    (100, 1, 1)
    """
    check_seed(seed)
    rows = _rows(fit, "predictive_draws", data, classes, units, missing)
    if classes == "outcomes" and not rows.observed.any():
        raise OptionError("classes='outcomes' needs data with outcomes.")
    if draws is not None:
        check_whole("draws", draws)
    samples = parameter_samples(fit, draws)
    known = class_probabilities(fit, samples, rows, units)
    probabilities = known.prior if classes == "prior" else known.responsibilities
    if samples.draws is None:
        wanted = 1000 if draws is None else draws
        check_memory(8.0 * wanted * len(rows.unit), f"draws = {wanted}")
        samples = _repeated(samples, wanted)
        probabilities = np.broadcast_to(
            probabilities, (samples.n_samples, *probabilities.shape[1:])
        )
    root = np.random.SeedSequence(seed)
    drawn, outcomes = draw_outcomes(
        sampler_of(fit.spec), samples, probabilities, design(rows), rows.unit, root
    )
    outcomes = within_cells(outcomes, rows.cell)
    return _drawn_dataset(fit, rows, drawn, outcomes, {"seed": seed, "classes": classes})


def _rows(
    fit: Fit, part: str, data: Any, classes: ClassesFrom, units: Units, missing: Missing
) -> NewRows:
    check_fit(fit, part)
    check_choice("units", units, get_args(Units))
    check_choice("classes", classes, get_args(ClassesFrom))
    return new_rows(fit.spec, fit.panel, data, missing, with_outcomes=classes == "outcomes")


def _repeated(samples: Samples, draws: int) -> Samples:
    blocks = {
        name: np.broadcast_to(values, (draws, *values.shape[1:]))
        for name, values in samples.blocks.items()
    }
    return Samples(blocks, samples.draws)


def _observed(rows: NewRows) -> FloatArray:
    assert rows.outcomes is not None
    if rows.cell is None:
        return rows.outcomes
    values = np.full_like(rows.outcomes, np.nan)
    observed = rows.observed
    values[observed] = within_cells(rows.outcomes[observed], rows.cell[observed])
    return values


def _dataset(
    fit: Fit, rows: NewRows, summaries: dict[str, Summary], samples: Samples
) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name, summary in summaries.items():
        variables[name] = (_DIMS[name], summary.mean)
        if summary.interval is not None:
            variables[f"{name}_interval"] = (("bound", *_DIMS[name]), summary.interval)
    dataset = xr.Dataset(
        {**variables, "unit_index": (("row",), rows.unit)},
        coords={
            "unit": rows.unit_labels,
            "row": rows.row,
            COMPONENT: np.arange(1, fit.spec.n_components + 1),
            "outcome": np.array(fit.outcome_names, dtype=object),
        },
        attrs=_attributes(fit, rows)
        | {"n_draws": samples.n_samples, "classes": "outcomes" if rows.observed.any() else "prior"},
    )
    bounds = np.array(["lower", "upper"], dtype=object)
    return dataset if samples.draws is None else dataset.assign_coords(bound=bounds)


def _drawn_dataset(
    fit: Fit, rows: NewRows, classes: IntArray, outcomes: FloatArray, attributes: dict[str, Any]
) -> xr.Dataset:
    return xr.Dataset(
        {
            "outcomes": (("draw", "row", "outcome"), outcomes),
            "classes": (("draw", "unit"), classes + 1),
            "unit_index": (("row",), rows.unit),
        },
        coords={
            "draw": np.arange(len(outcomes)),
            "row": rows.row,
            "unit": rows.unit_labels,
            "outcome": np.array(fit.outcome_names, dtype=object),
        },
        attrs=_attributes(fit, rows) | attributes,
    )


def _attributes(fit: Fit, rows: NewRows) -> dict[str, Any]:
    return {"backend": fit.backend, "scale": _LEVELS if rows.cell is None else _DEVIATIONS}


def _without_outcomes(fit: Fit) -> str:
    names = ", ".join(map(repr, fit.outcome_names))
    alike = "depend on the membership covariates alone"
    if not fit.concomitant_names:
        alike = "are the classes' weights, the same for every unit"
    return (
        f"The data have no outcomes ({names}), so that class probabilities are prior ones, which "
        f"{alike}: give the outcomes, or write classes='prior' (on the command line --classes "
        "prior) if this is what is wanted."
    )
