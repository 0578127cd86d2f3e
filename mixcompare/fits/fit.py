"""A fitted model: what it knows, read from its tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import escape
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError, OptionError
from mixcompare.base.suggest import kind_of
from mixcompare.data.panel import Panel
from mixcompare.fits.kinds import DRAWN, OPTIMA, Kind, kind_of_before
from mixcompare.fits.result import Draws, Optima, Result, Search, StandardErrors
from mixcompare.fits.storage import check_whole, load_tree, panel_from_dataset, save_tree
from mixcompare.fits.summary import summarise_estimate, summarise_posterior
from mixcompare.fits.tree import as_stored_now, build_tree, read_result
from mixcompare.model.capabilities import require
from mixcompare.model.layout import Layout, Parameter
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Fit:
    """One fitted model: the numbers of its `result`, and its `tree` with names and coordinates.

    A fit that was just made has a result, of which the tree is made when it is first asked for,
    in a file too; one that was loaded has a tree, from which the result is read. What is worked
    out of them is kept. A copied or pickled fit is its tree alone.

    Parameters
    ----------
    tree
        See `mixcompare.fits.tree`.
    trust
        Whether the formulas of its specification may hold any Python, see `MixtureSpec`.
    """

    trust: bool

    def __init__(self, tree: xr.DataTree, trust: bool = False) -> None:
        self._know(stored=tree, trust=trust)

    @classmethod
    def of(
        cls,
        result: Result,
        attributes: Mapping[str, Any],
        trust: bool,
        panel: Panel,
        problem: Problem | None,
    ) -> Fit:
        """A fit that was just made, of a panel and perhaps with the problem that it solves.

        Parameters
        ----------
        attributes
            See `mixcompare.fits.tree.describe`.
        """
        made = cls.__new__(cls)
        made._know(result=result, said=attributes, trust=trust, panel=panel)
        if problem is not None:
            made._know(problem=problem)
        return made

    def _know(self, **parts: Any) -> None:
        self.__dict__.update(parts)

    def __reduce__(self) -> tuple[type[Fit], tuple[xr.DataTree, bool]]:
        return Fit, (self.tree, self.trust)

    def attached(self, groups: Mapping[str, xr.Dataset]) -> Fit:
        """The fit with more groups in its tree."""
        tree = self.tree.copy()
        for name, group in groups.items():
            tree[name] = xr.DataTree(group)
        more = Fit(tree, self.trust)
        kept = ("panel", "problem", "layout")
        more._know(**{name: self.__dict__[name] for name in kept if name in self.__dict__})
        return more

    @cached_property
    def tree(self) -> xr.DataTree:
        """All that is known, as it is stored."""
        if "stored" in self.__dict__:
            return as_stored_now(self.__dict__["stored"], lambda: self.layout)
        return build_tree(self.result, self.spec, self.layout, self.panel, self.attributes)

    @cached_property
    def result(self) -> Result:
        """The numbers as plain arrays."""
        return read_result(self.tree, self.kind, self.layout)

    @property
    def draws(self) -> Draws:
        """A posterior's draws as sampled; a KeyError where there are none, as in EM's fits."""
        return _there(self.result.draws, "posterior")

    @property
    def errors(self) -> StandardErrors:
        """An optimum's standard errors; a KeyError where the fit is none."""
        return _there(self.result.errors, "standard_errors")

    @property
    def search(self) -> Search:
        """Where the search for an optimum ended; a KeyError where the fit is none."""
        return _there(self.result.search, "starts")

    @property
    def optima(self) -> Optima:
        """Maxima of a posterior's density that the sampler's own search has found.

        A KeyError where there was none: in EM's fits, in those whose chains did not wait for it
        (another ``init`` or sequential Monte Carlo), and in those of earlier versions.
        """
        return _there(self.result.optima, "optima")

    @property
    def replicates(self) -> Mapping[str, FloatArray] | None:
        """(1, replicates, ...) blocks of a bootstrap, see `mixcompare.bootstrap`; None without."""
        group = None if self._held is None else self._held.children.get("bootstrap")
        return None if group is None else self.layout.take(group.variables)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the fit says of itself, all of it text or numbers."""
        held = self._held
        return cast("Mapping[str, Any]", self.__dict__["said"] if held is None else held.attrs)

    @property
    def _held(self) -> xr.DataTree | None:
        """The tree, if it need not be made: it was given, or asked for before."""
        known = self.__dict__
        return cast("xr.DataTree | None", known.get("tree", known.get("stored")))

    @property
    def backend(self) -> str:
        """Name of the backend, ``"em"`` or ``"pymc"``."""
        return str(self.attributes["backend"])

    @property
    def kind(self) -> Kind:
        """What kind of fit it is."""
        said: Kind | None = self.attributes.get("kind")
        return kind_of_before(self.__dict__["stored"]) if said is None else said

    @property
    def is_optimum(self) -> bool:
        """Whether it is a maximum of the likelihood or a mode of the posterior."""
        return self.kind in OPTIMA

    @property
    def has_draws(self) -> bool:
        """Whether it is draws from the posterior, or from an approximation of it."""
        return self.kind in DRAWN

    @property
    def spec(self) -> MixtureSpec:
        """The specification that was fitted."""
        return _read_spec(self.attributes["spec"], self.trust)

    @property
    def status(self) -> str:
        """``"converged"`` or what went wrong, see `Result`."""
        return str(self.attributes["status"])

    @property
    def message(self) -> str:
        """The status in a sentence."""
        return str(self.attributes["message"])

    @property
    def seed(self) -> int:
        """Root of the fit's random numbers."""
        return int(self.attributes["seed"])

    @property
    def seconds(self) -> float:
        """Wall time of the backend, in seconds."""
        return float(self.attributes["seconds"])

    @property
    def cautions(self) -> tuple[str, ...]:
        """What should be known about the data and the result, a sentence each."""
        return tuple(json.loads(self.attributes["cautions"]))

    @property
    def versions(self) -> dict[str, str]:
        """Versions of Python and of the libraries that made the fit."""
        versions: dict[str, str] = json.loads(self.attributes["versions"])
        return versions

    @property
    def machine(self) -> str:
        """Kind of processor that made the fit."""
        return str(self.attributes["machine"])

    @property
    def options(self) -> dict[str, Any]:
        """The backend's options."""
        options: dict[str, Any] = json.loads(self.attributes["options"])
        return options

    @property
    def log_likelihood(self) -> float:
        """EM: the maximum. PyMC: the highest over the draws. All constants are in."""
        if self.has_draws:
            return float(self.log_likelihood_by_draw.max())
        return float(self.result.log_likelihood.sum())

    @property
    def log_likelihood_by_draw(self) -> FloatArray:
        """(chain, draw) log-likelihoods of a posterior's draws."""
        return np.asarray(self.result.log_likelihood.sum(axis=-1))

    @property
    def estimate(self) -> Mapping[str, FloatArray]:
        """Arrays of parameters by name; of a posterior the means of the aligned draws."""
        return self.result.parameters

    @property
    def highest_draw(self) -> dict[str, FloatArray]:
        """Arrays of the parameters of a posterior's draw of highest likelihood."""
        by_draw = self.log_likelihood_by_draw
        best = np.unravel_index(int(by_draw.argmax()), by_draw.shape)
        return {name: values[best] for name, values in self.draws.parameters.items()}

    @property
    def weights(self) -> xr.DataArray:
        """(mixture_component) class weights; PyMC: posterior means after alignment."""
        return self._estimate("weights")

    @property
    def coefficients(self) -> xr.DataArray:
        """(mixture_component, covariate, outcome) coefficients."""
        return self._estimate("coefficients")

    @property
    def covariance(self) -> xr.DataArray:
        """(mixture_component, outcome, outcome_bis) covariances; shared ones are repeated."""
        return self._estimate("covariance")

    @property
    def responsibilities(self) -> xr.DataArray:
        """(unit, mixture_component) class probabilities of the units."""
        return self._estimate("responsibilities")

    @property
    def sandwich_se(self) -> FloatArray | None:
        """(P,) EM's standard errors clustered by unit; None if units have one row each."""
        return None if self.result.errors is None else self.result.errors.sandwich

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return self.layout.n_free

    @property
    def replicated(self) -> FloatArray:
        """(G,) how often each unit counts: its weight, or once."""
        weights = self.panel.unit_weights
        return np.ones(self.panel.n_units) if weights is None else weights

    @property
    def n_independent(self) -> float:
        """How many units there are, by their weights: the n of BIC."""
        return float(self.replicated.sum())

    @property
    def degrees_of_freedom(self) -> float:
        """Rows left after absorption over all units, counted by their weights."""
        return float(np.sum(self.replicated * self.panel.degrees_of_freedom))

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the design columns."""
        return self.panel.covariate_names

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """Names of the outcomes."""
        return self.panel.outcome_names

    @property
    def common_names(self) -> tuple[str, ...]:
        """Covariates whose coefficients all classes share."""
        return self.panel.common_names

    @property
    def concomitant_names(self) -> tuple[str, ...]:
        """Unit covariates of the class membership."""
        return self.panel.concomitant_names

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The scalars that tables report, in order."""
        return self.layout.parameters

    @cached_property
    def layout(self) -> Layout:
        """Arrays of parameters, and the scalars that tables report."""
        return Layout.of(self.spec, self)

    @cached_property
    def panel(self) -> Panel:
        """The rows that were fitted."""
        return panel_from_dataset(self.__dict__["stored"]["panel"].to_dataset())

    @cached_property
    def problem(self) -> Problem:
        """The specification on these rows, prepared."""
        return Problem.of(self.spec, self.panel, self.options.get("kernels", "auto"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the panel."""
        return str(self.attributes["fingerprint"])

    @property
    def aligned_draws(self) -> FloatArray:
        """(chain, draw, P) values of the parameters, components renumbered draw by draw.

        Raises
        ------
        KeyError
            If the fit has no posterior, as EM's have none.
        """
        draws = self.draws
        return self.layout.flatten(self.layout.permute(draws.parameters, draws.permutation))

    @property
    def posterior_as_sampled(self) -> xr.Dataset:
        """The posterior's parameters with labels as sampled; those in the tree are aligned.

        Raises
        ------
        KeyError
            If the fit has no posterior, as EM's have none.
        """
        return self.tree["posterior_as_sampled"].to_dataset()

    def summary(self) -> pd.DataFrame:
        """Table of the parameters, one row each.

        EM: estimate, standard error, 95 % interval and, if units have several rows,
        ``sandwich_se``, which stays valid if these depend on one another. PyMC: mean, standard
        deviation, 95 % equal-tailed interval, R-hat and bulk ESS after alignment.
        """
        if self.has_draws:
            return summarise_posterior(self.parameters, self.aligned_draws)
        estimate = self.layout.flatten(self.estimate)
        table = summarise_estimate(self.parameters, estimate, self.errors.each)
        robust = self.sandwich_se
        return table if robust is None else table.assign(sandwich_se=robust)

    def save(self, path: str | Path) -> Path:
        """Write the fit as netCDF with a checksum; the file appears complete or not at all.

        Folders that do not exist are made.

        Raises
        ------
        OptionError
            If the file cannot be written.
        """
        return save_tree(self.tree, path)

    def _estimate(self, name: str) -> xr.DataArray:
        return self.tree["estimate"].dataset[name]

    def __repr__(self) -> str:
        spec, count = self.spec, len(self.cautions)
        noted = f", {count} caution{'s' * (count > 1)}" if count else ""
        return (
            f"<mixcompare.Fit {self.backend}: {spec.formula!r}, K={spec.n_components}, "
            f"log-likelihood {self.log_likelihood:.4f}, {self.status}{noted}>"
        )

    def _repr_html_(self) -> str:
        head = repr(self).removeprefix("<mixcompare.").removesuffix(">")
        noted = "".join(f"<li>{escape(text)}</li>" for text in self.cautions)
        cautions = f"<ul>{noted}</ul>" if noted else ""
        table = self.summary().to_html(float_format="{:.4g}".format)
        return f"<p><b>{escape(head)}</b></p>{cautions}{table}"


def _there[Part](part: Part | None, group: str) -> Part:
    if part is None:
        raise KeyError(group)
    return part


@lru_cache(maxsize=64)
def _read_spec(text: str, trust: bool) -> MixtureSpec:
    # Checking a specification parses its formulas, and a fit is asked for it many times.
    return MixtureSpec.from_dict(json.loads(text), trust=trust)


def load(path: str | Path, *, trust: bool = False) -> Fit:
    """Load a fit that `Fit.save` has written.

    The file's checksum and the panel's fingerprint are held against the file. A fit that an
    earlier version saved without a checksum says so in its cautions.

    Parameters
    ----------
    path
        The file.
    trust
        Whether its formulas may hold any Python, which runs when they are read. Without it,
        a fit whose formulas hold other Python than formulas may is refused when it is used.

    Raises
    ------
    DataError
        If the file does not exist, holds something else, is damaged or of a later version.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> em = mc.fit(spec, load("gapminder"), starts=5, seed=1)
    >>> path = em.save(Path(mkdtemp()) / "em.nc")
    >>> mc.load(path).log_likelihood == em.log_likelihood
    True
    """
    if not isinstance(path, (str, Path)):
        raise DataError(f"load takes the path of a saved fit, not {kind_of(path)}.")
    tree = load_tree(path)
    panel = check_whole(Path(path), tree)
    loaded = Fit(tree, trust)
    loaded._know(panel=panel)
    return loaded


def check_fit(value: object, caller: str) -> None:
    """Refuse what is no fit, and a fit of a model that the caller cannot serve.

    Parameters
    ----------
    caller
        Which function takes it, a key of `CAPABILITIES`.

    Raises
    ------
    MixCompareError
        It says what was given, and how a fit is got from that.
    """
    if isinstance(value, Fit):
        require(value.spec, caller)
        return
    hint = "mixcompare.fit makes one"
    if isinstance(value, (str, Path)):
        hint = "mixcompare.load(path) reads one from a file"
    elif isinstance(value, (list, tuple, dict)):
        hint = f"give the fits one by one, as in {caller}(*fits)"
    elif isinstance(value, xr.DataTree):
        hint = "mixcompare.load(path) gives the fit that a saved tree belongs to"
    elif isinstance(getattr(value, "fits", None), dict):
        hint = "a selection has them by their number of classes, as in selection.fits[3]"
    elif isinstance(value, MixtureSpec):
        hint = "fit the specification first: mixcompare.fit(spec, data)"
    raise OptionError(f"{caller} takes a Fit, not {kind_of(value)}: {hint}.")
