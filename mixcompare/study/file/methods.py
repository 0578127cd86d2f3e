"""A method: a backend, its options, and what it changes in the study's model and data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from mixcompare.backends import build_options, fit, get_backend
from mixcompare.backends.em.bootstrap import Kind as Resampling
from mixcompare.backends.em.bootstrap import bootstrap
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import OptionError
from mixcompare.data.panel import Panel
from mixcompare.fits import criteria
from mixcompare.fits.fit import Fit
from mixcompare.fits.kinds import OPTIMA, Kind
from mixcompare.model.capabilities import require
from mixcompare.model.spec import SPEC_KEYS, MixtureSpec


@dataclass(frozen=True, slots=True)
class Method:
    """A backend with its options, see `mixcompare.study.file.schema.MethodTable`.

    Attributes
    ----------
    backend, options
        As `mixcompare.fit` takes them.
    changes
        Arguments of `MixtureSpec` in place of the study's.
    within
        Whether cell means are subtracted and then forgotten.
    bootstrap
        Replicates and kind of the bootstrap; None without.
    choose
        Numbers of classes to choose from by BIC; empty without.
    replicates
        Replicates in place of the run's.
    """

    backend: str
    options: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    within: bool = False
    bootstrap: tuple[int, Resampling] | None = None
    choose: tuple[int, ...] = ()
    replicates: int | None = None

    def spec(self, base: MixtureSpec) -> MixtureSpec:
        """The study's model with this method's changes."""
        if not self.changes:
            return base
        return _changed(base, json.dumps(dict(self.changes)), base.trust)

    @property
    def kind(self) -> Kind:
        """What kind of fits it makes."""
        options = build_options(self.backend, self.options)
        return cast("Kind", options.kind)

    def check(self) -> None:
        """Refuse what the backend cannot do.

        Raises
        ------
        OptionError
            If an option is unknown or out of range.
        """
        kind = self.kind
        for name, wanted in (("bootstrap", self.bootstrap), ("choose_components", self.choose)):
            if wanted and kind not in OPTIMA:
                raise OptionError(f"{name} needs backend = 'em', not {self.backend!r}.")


@lru_cache(maxsize=256)
def _changed(base: MixtureSpec, changes: str, trust: bool) -> MixtureSpec:
    return MixtureSpec.from_dict({**base.to_dict(), **json.loads(changes)}, trust=trust)


def allowed_options(backend: str) -> list[str]:
    """Names of a backend's options.

    Raises
    ------
    OptionError
        If there is no such backend.
    """
    return [f.name for f in dataclasses.fields(get_backend(backend).Options)]


def built_options(backend: str, options: Mapping[str, Any]) -> Any:
    """A backend's options as it takes them, checked; those of one kind are checked once."""
    try:
        return _built(backend, json.dumps(dict(options), sort_keys=True))
    except TypeError:  # a start of the user's own, which JSON cannot hold
        return build_options(backend, options)


@lru_cache(maxsize=256)
def _built(backend: str, options: str) -> Any:
    return build_options(backend, json.loads(options))


def build_method(backend: str, further: Mapping[str, Any], **settings: Any) -> Method:
    """Sort a method's further keys into options and changes of the model."""
    changes = {key: value for key, value in further.items() if key in SPEC_KEYS}
    options = {key: value for key, value in further.items() if key not in SPEC_KEYS}
    return Method(backend, options, without(changes), **settings)


def without(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `MixtureSpec` with None for false, since TOML has no word for nothing."""
    parts = ("absorb", "membership")
    absent = {key: None for key in parts if arguments.get(key) is False}
    return {**arguments, **absent}


def fit_method(
    method: Method, spec: MixtureSpec, panel: Panel, seed: int, options: Mapping[str, Any]
) -> Fit:
    """Fit one panel by one method.

    Parameters
    ----------
    method
        What to do.
    spec
        The model with the method's changes.
    panel
        Built with `spec`.
    seed
        Root of the fit's random numbers.
    options
        Options that take precedence over the method's.
    """
    if method.within:
        spec, panel = within(spec, panel)
    all_options = {**method.options, **options}
    if method.choose:
        fitted = min(
            (
                fit(replace(spec, n_components=k), panel, seed=seed, **all_options)
                for k in method.choose
            ),
            key=bic,
        )
    else:
        fitted = fit(spec, panel, backend=method.backend, seed=seed, **all_options)
    if method.bootstrap is None:
        return fitted
    replicates, kind = method.bootstrap
    return bootstrap(fitted, replicates=replicates, kind=kind, seed=seed)


def bic(fitted: Fit) -> float:
    """Bayesian information criterion with the number of units, which are what is independent."""
    return criteria.bic(fitted.log_likelihood, fitted.n_parameters, fitted.n_independent)


def within(spec: MixtureSpec, panel: Panel) -> tuple[MixtureSpec, Panel]:
    """The plain within transformation: cell means subtracted, every row counted.

    A fit to the result takes the transformed rows for independent ones, of which a cell has
    one too many: its variance is too small by the factor (T - 1) / T (Neyman & Scott 1948).

    Raises
    ------
    DataError
        If the model absorbs nothing.
    """
    require(spec, "transform = 'within'")
    assert panel.cell is not None
    plain = replace(spec, absorb=None)
    return plain, replace(
        panel,
        outcomes=_by_hand(panel.outcomes, panel.cell),
        covariates=_by_hand(panel.covariates, panel.cell),
        cell=None,
        source=None,
    )


def _by_hand(values: FloatArray, cell: IntArray) -> FloatArray:
    """Rows (N, q) less their cells' means, as whoever knows no better takes them away: once."""
    sums = np.stack([np.bincount(cell, column) for column in values.T], axis=1)
    return np.asarray(values - (sums / np.bincount(cell)[:, None])[cell])
