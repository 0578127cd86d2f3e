"""Rules that answer items of GRoLTS; some serve BARG as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mixcompare.data.panel import Panel
from mixcompare.labels.metrics import relative_entropy
from mixcompare.pages.formatting import counted, significant
from mixcompare.report import models_section as models
from mixcompare.report import selection_section as choice
from mixcompare.report.checklists.answers import Answer, Facts, author, automatic, not_applicable
from mixcompare.report.figures.units import likeliest

_VARIABLES: Final = "table-variables"
_SELECTION: Final = choice.ANCHOR
_MODELS: Final = models.ANCHOR
_NAMES = {"mixcompare": "mixcompare", "pymc": "PyMC", "nutpie": "nutpie", "arviz": "ArviZ"}


def time_metric(facts: Facts) -> Answer:
    """The variable that trajectories run along is known, its unit is not."""
    panel, name = facts.em.panel, facts.variable
    if name is None:
        return author("Name the variable that measures time, its unit and its origin.")
    values = panel.variables[name]
    low, high = significant(values.min()), significant(values.max())
    return author(f"{name} runs from {low} to {high}; state its unit and its origin.", _VARIABLES)


def time_within_wave(facts: Facts) -> Answer:
    """Where all units are measured at the same times, nothing varies within a wave."""
    panel, name = facts.em.panel, facts.variable
    if name is None:
        return author("Say when units were measured, wave by wave.")
    distinct = len(np.unique(panel.variables[name]))
    if _balanced(panel) and distinct * panel.n_units == panel.n_rows:
        return automatic(
            f"All units were measured at the same {distinct} values of {name}, so that it does "
            "not vary within a wave.",
            _VARIABLES,
        )
    return author(f"{name} has {distinct:,} distinct values; say how they form waves.", _VARIABLES)


def missing_mechanism(facts: Facts) -> Answer:
    """Only the author knows why values or rows are missing, if any are."""
    panel = facts.em.panel
    if not panel.dropped.rows and _balanced(panel):
        return not_applicable("No value is missing and all units have the same number of rows.")
    if not panel.dropped.rows:
        return author("No value is missing, but units have different numbers of rows: say why.")
    return author(f"{counted(panel.dropped.rows, 'row')} had missing values: say why.", "model")


def missing_handled(facts: Facts) -> Answer:
    """Rows with missing values are dropped or refused."""
    dropped = facts.em.panel.dropped
    if not dropped.rows:
        return automatic("No row was dropped; a missing value would have been an error.", "model")
    return automatic(
        f"{counted(dropped.rows, 'row')} with missing values "
        f"{'was' if dropped.rows == 1 else 'were'} dropped, and with them "
        f"{counted(dropped.units, 'whole unit')}.",
        "model",
    )


def variables(facts: Facts) -> Answer:
    """The table of the variables."""
    em = facts.em
    covariates = [name for name in em.panel.variables if name not in em.outcome_names]
    beside = f"; covariates from: {', '.join(covariates)}" if covariates else "; no covariates"
    return automatic(f"Outcomes: {', '.join(em.outcome_names)}{beside}.", _VARIABLES)


def software(facts: Facts) -> Answer:
    """Versions of the libraries."""
    versions = facts.comparison.posterior_fit.versions
    named = [f"{name} {versions[key]}" for key, name in _NAMES.items() if key in versions]
    return automatic(f"{', '.join(named)}; all versions are listed.", "reproduction")


def between_class(facts: Facts) -> Answer:
    """Likewise for covariances."""
    spec = facts.em.spec
    which = "one for all classes" if spec.covariance_by == "shared" else "one for each class"
    if any(
        _structure(other["specification"]) != _structure(spec.to_dict())
        for other in facts.record["models"].values()
    ):
        return automatic("Criteria and prediction of the structures fitted are compared.", _MODELS)
    shape = "variance" if len(facts.em.outcome_names) == 1 else f"{spec.covariance}"
    return author(f"Here: {shape}, {which}. Say which others were considered.", "model")


def covariates(facts: Facts) -> Answer:
    """Formula and variables are all that is needed."""
    em = facts.em
    if facts.variable is not None or not em.panel.variables:
        return not_applicable("There are no covariates beside the trajectories' own variable.")
    return automatic(f"All are in the formula: {facts.formula}.", "model")


def starts(facts: Facts) -> Answer:
    """EM's starts and iterations."""
    em = facts.em
    each = em.search.ends["kind"]
    kinds = ", ".join(dict.fromkeys(map(str, each)))
    final = len(em.result.history["log_likelihood"])
    most = em.options["max_iterations"]
    return automatic(
        f"{len(each)} starts ({kinds}); the best ended after {final} iterations, at "
        f"most {most:,} were allowed; {em.message}.",
        "optima",
    )


def criteria(facts: Facts) -> Answer:
    """Criteria are shown for one model; the choice needs several."""
    if _SELECTION in facts.sections:
        return automatic("Criteria of all models that were fitted are compared.", _SELECTION)
    if _MODELS in facts.sections:
        return automatic("Criteria and PSIS-LOO of all models that were fitted.", _MODELS)
    return author(
        "AIC, BIC and PSIS-LOO of this model are given; say which others it was compared with.",
        "likelihoods",
    )


def models_fitted(facts: Facts) -> Answer:
    """A report on one model knows of no other."""
    if _SELECTION in facts.sections:
        return automatic("All numbers of classes that were fitted are listed.", _SELECTION)
    k = facts.em.spec.n_components
    return author(f"This report is on one model with K = {k}; say how many were fitted.")


def class_sizes(facts: Facts) -> Answer:
    """Sizes of the classes shown."""
    sizes = np.bincount(likeliest(facts.em), minlength=facts.em.spec.n_components)
    listed = ", ".join(f"{n:,}" for n in sizes)
    if _SELECTION in facts.sections:
        return automatic(
            f"Here, by EM: {listed} units; of other models as listed.", "table-selection-sizes"
        )
    return author(f"Here, by EM: {listed} units. Add those of other models.", "table-class-sizes")


def entropy(facts: Facts) -> Answer:
    """Relative entropy by both backends."""
    em = facts.em.responsibilities.to_numpy()
    each = facts.em.replicated
    posterior = facts.comparison.posterior_responsibilities.to_numpy()
    return automatic(
        f"Relative entropy {relative_entropy(em, each):.3f} by EM and "
        f"{relative_entropy(posterior, each):.3f} by the posterior.",
        "table-agreement",
    )


def trajectories_of_each_model(facts: Facts) -> Answer:
    """Drawn for every model of a selection, where curves can be."""
    if _SELECTION in facts.sections and facts.variable is not None:
        return automatic("Class means of every model.", f"figure-{choice.TRAJECTORIES}")
    return author("This report is on one model: add the reports of the others.")


def code(facts: Facts) -> Answer:
    """The study file or the lines that fit again."""
    what = "The study file" if facts.record["study"] else "Python code that fits again"
    return automatic(f"{what} is in this report.", "reproduction")


def _structure(spec: Mapping[str, Any]) -> tuple[Any, Any]:
    return spec["covariance"], spec["covariance_by"]


def _balanced(panel: Panel) -> bool:
    return len(np.unique(np.bincount(panel.unit, minlength=panel.n_units))) == 1
