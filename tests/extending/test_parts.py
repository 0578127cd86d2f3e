"""Parts from outside the package: each is registered, works, and is taken out again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare import labels
from mixcompare.backends import BACKENDS, register_backend
from mixcompare.backends.em.emissions.normal import covariances as by_em
from mixcompare.backends.pymc.density.densities import density_of
from mixcompare.backends.pymc.emissions import covariances as by_pymc
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.registry import SAMPLERS, McmcSampler, register_mcmc
from mixcompare.fits.result import Result
from mixcompare.model.covariances import STRUCTURES, Covariance
from mixcompare.pages.formatting import Column, Table, table
from mixcompare.prepared.problem import Problem
from mixcompare.report.sections import SECTIONS, Outline, register_section
from mixcompare.report.selection_section import choice_of_k
from mixcompare.selection import Criterion, register_criterion
from mixcompare.selection.criteria_table import CRITERIA
from tests import em_cases
from tests.stand_in_posterior import stand_in

QUIET: dict[str, Any] = {"seed": 1, "progress": False}


def two_lines(units: int = 40) -> pd.DataFrame:
    """Two well separated classes of lines, five rows a unit."""
    rng = np.random.default_rng(8)
    unit = np.repeat(np.arange(units), 5)
    x = rng.normal(size=unit.size)
    y = np.where(unit % 5 < 2, 4 + 2 * x, -x) + rng.normal(scale=0.5, size=unit.size)
    return pd.DataFrame({"unit": unit, "x": x, "y": y})


LINES = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(LINES, two_lines(), starts=8, **QUIET)


@pytest.fixture(scope="module")
def comparison(em: mc.Fit) -> mc.Comparison:
    return mc.compare(em, stand_in(em))


# ---------------------------------------------------------------------------------------------
# A relabelling algorithm
# ---------------------------------------------------------------------------------------------


def hardest(draws: labels.Draws) -> labels.IntArray:
    """Match the most probable classes of the draws to the pivot's."""
    k = draws.pivot.shape[-1]
    one_hot = np.eye(k)[draws.responsibilities.argmax(axis=-1)]
    return labels.align_to_reference(one_hot, np.eye(k)[draws.pivot.argmax(axis=-1)])


def test_a_relabelling_algorithm_runs_in_every_comparison(
    em: mc.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels.algorithms, "ALGORITHMS", dict(labels.ALGORITHMS))
    monkeypatch.setattr(labels, "ALGORITHMS", labels.algorithms.ALGORITHMS)
    labels.register_algorithm("hardest", labels.Algorithm(hardest, "this test"))
    rng = np.random.default_rng(0)
    tau = rng.dirichlet([0.1, 0.1, 0.1], size=30)
    moved = np.stack([tau[:, rng.permutation(3)] for _ in range(20)])
    found = labels.relabel(labels.Draws(moved, tau))["hardest"]
    aligned = np.take_along_axis(moved, found[:, None], axis=-1)
    np.testing.assert_array_equal(aligned, np.broadcast_to(tau, aligned.shape))
    comparison = mc.compare(em, stand_in(em, switch_every=50))
    assert comparison.algorithms.loc["hardest", "source"] == "this test"
    assert comparison.algorithms.loc["hardest", "ECR"] == 1
    with pytest.raises(mc.OptionError, match="another relabelling algorithm 'ECR'"):
        labels.register_algorithm("ECR", labels.Algorithm(hardest, "this test"))


# ---------------------------------------------------------------------------------------------
# A covariance structure, within the package
# ---------------------------------------------------------------------------------------------


def test_every_covariance_structure_has_its_places() -> None:
    names = set(get_args(Covariance))
    assert set(STRUCTURES) == names
    assert set(by_em.ARITHMETIC) == names
    assert set(by_pymc.ARITHMETIC) == names
    assert {covariance for covariance, _ in em_cases.STRUCTURES} == names


# ---------------------------------------------------------------------------------------------
# A criterion
# ---------------------------------------------------------------------------------------------


def hannan_quinn(fit: mc.Fit) -> float:
    penalty = 2 * fit.n_parameters * np.log(np.log(fit.n_independent))
    return float(-2 * fit.log_likelihood + penalty)


def test_a_criterion_is_tabled_chosen_by_drawn_and_reported(comparison: mc.Comparison) -> None:
    new = Criterion("Hannan-Quinn", "hannan_quinn", value=hannan_quinn)
    register_criterion("hannan_quinn", new)
    try:
        found = mc.select(LINES, two_lines(), n_components=[1, 2, 3], starts=8, seed=1)
        for k, fit in found.fits.items():
            assert found.table.loc[k, "hannan_quinn"] == hannan_quinn(fit)
        assert found.best("hannan_quinn") == 2
        legend = mc.plot(found).axes[1].get_legend()
        assert legend is not None
        assert "Hannan-Quinn" in [entry.get_text() for entry in legend.get_texts()]
        shown = choice_of_k(comparison, found).tables[0]
        assert "Hannan-Quinn" in [column.label for column in shown.columns]
    finally:
        del CRITERIA["hannan_quinn"]
    with pytest.raises(mc.OptionError, match="another criterion 'bic'"):
        register_criterion("bic", Criterion("mine", "bic", value=hannan_quinn))
    with pytest.raises(mc.OptionError, match="needs value="):
        register_criterion("waic", Criterion("WAIC", "waic"))


# ---------------------------------------------------------------------------------------------
# A sampler
# ---------------------------------------------------------------------------------------------


def metropolis(
    mixture: Mixture, options: Options, start: Any, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """Random walks, whose steps are differences of other walks (ter Braak 2006)."""
    rng, density = np.random.default_rng(seed), density_of(mixture)
    starts = [np.concatenate([v.ravel() for v in start(rng, i).values()]) for i in range(8)]
    here, path = np.stack(starts), []
    value = density(here)[0]
    for _ in range(options.tune + options.draws):
        others = np.stack([rng.choice(np.delete(np.arange(8), i), 2, False) for i in range(8)])
        step = 2.38 / np.sqrt(2 * here.shape[1]) * rng.choice([1.0, 0.3])
        there = here + step * (here[others[:, 0]] - here[others[:, 1]])
        there = there + 1e-3 * rng.standard_normal(here.shape)
        reached = density(there)[0]
        taken = np.log(rng.uniform(size=8)) < reached - value
        here, value = np.where(taken[:, None], there, here), np.where(taken, reached, value)
        path.append((here, value))
    points, values = (np.stack(kept, axis=1) for kept in zip(*path[options.tune :], strict=True))
    return mixture.constrained(mixture.split(points)), {"lp": values}


def test_a_sampler_gives_a_posterior_like_any_other() -> None:
    one_class = LINES.but(n_components=1)
    register_mcmc("metropolis", McmcSampler(metropolis))
    try:
        walked = mc.fit(
            one_class, two_lines(), backend="pymc", sampler="metropolis", draws=1500, **QUIET
        )
        with pytest.raises(mc.OptionError, match="another sampler 'metropolis'"):
            register_mcmc("metropolis", McmcSampler(metropolis, approximation=True))
    finally:
        del SAMPLERS["metropolis"]
    with pytest.raises(mc.OptionError, match=r"sampler must be one of nutpie.*not 'metropolis'"):
        mc.fit(LINES, two_lines(), backend="pymc", sampler="metropolis")
    assert walked.kind == "posterior"
    assert walked.log_likelihood_by_draw.shape == (8, 1500)
    nuts = mc.fit(one_class, two_lines(), backend="pymc", draws=500, tune=500, chains=2, **QUIET)
    one, other = walked.summary()[1:], nuts.summary()[1:]  # the one class has the weight 1
    assert ((one["mean"] - other["mean"]).abs() < 0.2 * other["sd"]).all()


# ---------------------------------------------------------------------------------------------
# A backend
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ridge:
    ridge: float = 0.0


class LeastSquares:
    """One class in closed form."""

    Options: type[Any] = Ridge

    def supports(self, spec: mc.MixtureSpec, options: Any) -> tuple[str, ...]:
        return () if spec.n_components == 1 else ("Least squares have one class.",)

    def run(self, problem: Problem, options: Any, seed: np.random.SeedSequence) -> Result:
        x, y = problem.panel.covariates, problem.panel.outcomes
        inner = x.T @ x + options.ridge * np.eye(x.shape[1])
        beta = np.linalg.solve(inner, x.T @ y)
        sigma = (y - x @ beta).T @ (y - x @ beta) / len(y)
        at = {"weights": np.ones(1), "coefficients": beta[None], "covariance": sigma[None]}
        many = {name: value[None] for name, value in at.items()}
        likelihood = self.scorer(problem).unit_log_likelihood(many)[0]
        occupancy = np.ones((len(likelihood), 1))
        said = "Solved."
        return Result("maximum", at, occupancy, likelihood, "converged", said)

    def scorer(self, problem: Problem) -> Any:
        return LeastSquaresScorer(problem)


@dataclass(frozen=True)
class LeastSquaresScorer:
    problem: Problem

    def log_density(self, parameters: Any, new: Problem | None = None) -> np.ndarray:
        panel = (new or self.problem).panel
        residual = panel.outcomes - panel.covariates @ parameters["coefficients"][:, 0]
        variance = parameters["covariance"][:, 0]
        by_row = -0.5 * (np.log(2 * np.pi * variance) + residual**2 / variance)
        units = [by_row[:, panel.unit == g].sum(axis=1) for g in range(panel.n_units)]
        return np.stack(units, axis=1)

    def unit_log_likelihood(self, parameters: Any, new: Problem | None = None) -> np.ndarray:
        return self.log_density(parameters, new)[..., 0]

    def occupancy(self, parameters: Any, new: Problem | None = None) -> np.ndarray:
        return np.ones_like(self.log_density(parameters, new))


def test_a_backend_fits_what_it_supports(tmp_path: Path) -> None:
    register_backend("least squares", LeastSquares())
    one = LINES.but(n_components=1)
    try:
        direct = mc.fit(one, two_lines(), backend="least squares")
        ridge = mc.fit(one, two_lines(), backend="least squares", ridge=10.0)
        with pytest.raises(mc.OptionError, match="Least squares have one class"):
            mc.fit(LINES, two_lines(), backend="least squares")
        with pytest.raises(mc.OptionError, match="has no option 'starts'; it has: ridge"):
            mc.fit(one, two_lines(), backend="least squares", starts=3)
        with pytest.raises(mc.OptionError, match="another backend 'em'"):
            register_backend("em", LeastSquares())
    finally:
        del BACKENDS["least squares"]
    with pytest.raises(mc.OptionError, match="unknown backend 'least squares'"):
        mc.fit(one, two_lines(), backend="least squares")
    by_em = mc.fit(one, two_lines(), **QUIET)
    assert direct.log_likelihood == pytest.approx(by_em.log_likelihood, rel=1e-12)
    assert ridge.log_likelihood < direct.log_likelihood
    np.testing.assert_allclose(direct.coefficients, by_em.coefficients, rtol=1e-10)
    direct.save(tmp_path / "direct.nc")
    again = mc.load(tmp_path / "direct.nc")
    assert (again.backend, again.log_likelihood) == ("least squares", direct.log_likelihood)


# ---------------------------------------------------------------------------------------------
# A section of the report, data
# ---------------------------------------------------------------------------------------------


def units_by_rows(comparison: mc.Comparison) -> Table:
    rows = np.bincount(np.bincount(comparison.em.panel.unit))
    held = np.flatnonzero(rows)
    columns = [(Column("rows"), held, str), (Column("units"), rows[held], str)]
    return table("units-by-rows", "Units by their number of rows", columns)


def test_a_section_stands_at_the_reports_end(comparison: mc.Comparison, tmp_path: Path) -> None:
    before = list(SECTIONS)
    said = "Where units have few rows, their classes are less certain."
    try:
        register_section(
            Outline("lengths", "Length of the units", lambda _: (said,), tables=(units_by_rows,))
        )
        with pytest.raises(mc.OptionError, match="another section with the anchor 'model'"):
            register_section(Outline("model", "Mine"))
        page = mc.write_report(comparison, tmp_path / "report").read_text()
    finally:
        SECTIONS[:] = before
    assert '<section id="lengths"' in page
    assert said in page
    assert (tmp_path / "report/tables/units-by-rows.csv").read_text() == "rows,units\n5,40\n"


def test_a_loader_of_ones_own_is_a_studys_data() -> None:
    study = mc.build_study(
        {
            "study": {"name": "own"},
            "data": {"loader": f"{__name__}:two_lines"},
            "model": {"formula": "y ~ x", "unit": "unit", "n_components": 2},
            "methods": {"em": {"backend": "em"}},
        },
        trust=True,
    )
    pd.testing.assert_frame_equal(study.read_data(), two_lines())
