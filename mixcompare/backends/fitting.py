"""The backends' registry, and the one function that fits a model."""

from __future__ import annotations

import dataclasses
import importlib
import time
import warnings
from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np

from mixcompare.backends.protocol import Backend
from mixcompare.base.checks import check_seed
from mixcompare.base.errors import DataError, DataWarning, OptionError
from mixcompare.base.registry import register
from mixcompare.data.panel import Missing, Panel, build_panel, design_source
from mixcompare.fits.fit import Fit
from mixcompare.fits.tree import describe
from mixcompare.model.capabilities import require
from mixcompare.model.spec import MixtureSpec, check_spec
from mixcompare.prepared.identification import cautions, check_identified
from mixcompare.prepared.problem import Problem

BACKENDS: Final[dict[str, str | Backend]] = {
    "em": "mixcompare.backends.em",
    "pymc": "mixcompare.backends.pymc",
}
"""Backends by name, or the modules that are imported when they are first used."""

# A fit keeps so many numbers of its prepared problem for what comes next. More are prepared
# again when they are asked for, since a backend has let go of them for memory's sake.
_KEPT_VALUES: Final = 500_000


def get_backend(name: str) -> Backend:
    """Import a backend by its name.

    Raises
    ------
    OptionError
        If there is no such backend.
    """
    if name not in BACKENDS:
        raise OptionError(f"unknown backend {name!r}; there are: {', '.join(BACKENDS)}.")
    backend = BACKENDS[name]
    return cast(
        "Backend", importlib.import_module(backend) if isinstance(backend, str) else backend
    )


def register_backend(name: str, backend: str | Backend) -> None:
    """Let `fit` fit with a backend.

    Parameters
    ----------
    name
        What ``fit(..., backend=)`` calls it.
    backend
        What offers the protocol, or the dotted name of a module that does.

    Raises
    ------
    OptionError
        If another has the name.
    """
    register(BACKENDS, "backend", name, backend)


def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    backend: str = "em",
    seed: int = 0,
    missing: Missing = "error",
    **options: Any,
) -> Fit:
    """Fit a specification to data with one backend.

    Parameters
    ----------
    spec
        The model.
    data
        A table (pandas, polars, pyarrow, mapping of columns), the path of a CSV or
        Parquet file, or a `Panel` that was built with the same specification.
    backend
        ``"em"`` for maximum likelihood or the posterior's mode by EM, ``"pymc"`` for the
        posterior by MCMC.
    seed
        Root of every random number; the same seed gives the same fit.
    missing
        ``"error"`` or ``"drop"``, see `mixcompare.data.panel.build_panel`.
    **options
        The backend's own: `mixcompare.backends.em.Options`,
        `mixcompare.backends.pymc.Options`.

    Returns
    -------
    Fit
        The result; its ``status`` says whether it may be used.

    Raises
    ------
    MixCompareError
        If the data do not suit the specification or an option is not valid.

    Warns
    -----
    DataWarning
        If covariates are nearly collinear, an outcome is a count, binary, graded or has a lump
        of equal values, or there are hardly more units than classes.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> em = mc.fit(spec, load("gapminder"), starts=10, seed=1)
    >>> em.status, round(em.log_likelihood, 2)
    ('converged', -5575.88)
    """
    check_spec(spec, "fit")
    module = get_backend(backend)
    built = build_options(backend, options)
    check_seed(seed)
    panel = (
        _given_panel(spec, data)
        if isinstance(data, Panel)
        else build_panel(spec, data, missing=missing)
    )
    require(spec, "fit")
    refused = module.supports(spec, built)
    if refused:
        raise OptionError(" ".join(refused))
    problem = Problem.of(spec, panel, getattr(built, "kernels", "auto"))
    check_identified(problem)
    noted = cautions(problem)
    for caution in noted:
        warnings.warn(caution, DataWarning, stacklevel=2)
    kept = problem if problem.prepared.n_values <= _KEPT_VALUES else None
    began = time.perf_counter()
    # Handed over, so that a backend can let go of the rows that it has copied.
    handed_over = [problem]
    del problem
    result = module.run(handed_over.pop(), built, np.random.SeedSequence(int(seed)))
    seconds = time.perf_counter() - began
    said = describe(result, spec, panel, backend, int(seed), built, seconds, noted)
    return Fit.of(result, said, spec.trust, panel, kept)


def _given_panel(spec: MixtureSpec, panel: Panel) -> Panel:
    if panel.source is not None and panel.source != design_source(spec):
        raise DataError(
            f"the panel was built for {panel.source}, the specification has {design_source(spec)}. "
            "Build it again with this specification."
        )
    return panel


def build_options(backend: str, options: Mapping[str, Any]) -> Any:
    """Check a backend's options and build its ``Options``.

    Raises
    ------
    OptionError
        If there is no such backend or option, or a value is out of range.
    """
    options_type = get_backend(backend).Options
    allowed = [field.name for field in dataclasses.fields(options_type)]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise OptionError(
            f"backend {backend!r} has no option {', '.join(map(repr, unknown))}; it has: "
            f"{', '.join(allowed)}."
        )
    return options_type(**options)
