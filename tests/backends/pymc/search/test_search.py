"""The search for the posterior's maxima, and chains that start about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import multivariate_normal

import mixcompare as mc
from mixcompare.backends.pymc import scorer
from mixcompare.backends.pymc.density.densities import density_of
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.search.climbing import climb
from mixcompare.backends.pymc.search.dispersed import KINDS, dispersed
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.backends.pymc.search.near_maxima import evidence_shares, near_maxima, shared_out
from mixcompare.backends.pymc.search.search import Search, search
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem
from mixcompare.selection.posterior import bridge_evidence
from tests.em_cases import build

PARTS: dict[str, Any] = {"common": "~ x2", "membership": "~ income"}
SLOPES = np.array([[1.0, -0.6], [-1.0, 0.2], [0.0, 0.8]])


def artists(units: int = 40, countries: int = 2, weeks: int = 30, seed: int = 0) -> pd.DataFrame:
    """Streams of artists in three classes by their course, with a level for each country."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), countries * weeks)
    country = np.tile(np.repeat(np.arange(countries), weeks), units)
    t = (np.tile(np.arange(weeks), units * countries) - (weeks - 1) / 2) / 10
    b = SLOPES[rng.choice(3, p=[0.5, 0.3, 0.2], size=units)[unit]]
    level = rng.normal(0, 3, size=(units, countries))[unit, country]
    y = level + b[:, 0] * t + b[:, 1] * t**2 + 0.5 * rng.normal(size=len(unit))
    return pd.DataFrame({"artist": unit, "country": country, "t": t, "y": y})


STREAMS = mc.MixtureSpec("y ~ t + I(t**2)", unit="artist", absorb="artist:country", n_components=3)


@pytest.fixture(scope="module")
def streams() -> Mixture:
    return build_mixture(Problem.of(STREAMS, mc.build_panel(STREAMS, artists())))


@pytest.fixture(scope="module")
def searched(streams: Mixture) -> Search:
    return search(Terrain(streams, density_of(streams)), 30, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("parts", "k", "m"),
    [({}, 1, 1), ({}, 3, 2), (PARTS, 2, 2), ({"absorb": True, "unit_weights": "count"}, 2, 1)],
    ids=["one class", "three", "parts", "weights"],
)
def test_climbs_end_where_the_density_is_level(parts: dict[str, Any], k: int, m: int) -> None:
    mixture = build_mixture(build("full", m=m, k=k, **parts).problem)
    density = density_of(mixture)
    result = search(Terrain(mixture, density), 20, np.random.default_rng(3))
    assert (result.ends >= 0).all()
    assert result.climbs.sum() == len(result.ends)
    assert any(maximum.proper for maximum in result.maxima)
    for maximum in result.maxima:
        height, slope = density(maximum.point[None])
        assert height[0] == maximum.log_density
        if maximum.proper:
            sd = 1 / np.sqrt(maximum.curvature.values)
            along = maximum.curvature.vectors.T @ slope[0]
            assert np.abs(along * sd).max() < 1e-3
            assert maximum.responsibilities.sum(axis=1) == pytest.approx(1)
    highest = max(maximum.log_density for maximum in result.maxima)
    others = climb(density, dispersed(mixture, 5, np.random.default_rng(9))[0])
    assert others.log_density.max() < highest + 0.01


def test_copies_of_a_maximum_are_one(streams: Mixture, searched: Search) -> None:
    terrain, best = Terrain(streams, density_of(streams)), searched.maxima[0]
    known = [best]
    for order in ([1, 2, 0], [2, 1, 0]):
        copy = streams.renumbered(best.point[None], np.array([order]))[0]
        assert np.abs(copy - best.point).max() > 0.1
        assert terrain.places(known, copy[None]).tolist() == [0]
    assert len(known) == 1
    other = searched.maxima[1]
    assert terrain.places(known, other.point[None]).tolist() == [1]


def test_most_climbs_find_the_same_best_maximum_whatever_their_kind(searched: Search) -> None:
    heights = [maximum.log_density for maximum in searched.maxima]
    assert np.argmax(heights) == 0
    by_kind = dict(zip(KINDS, searched.climbs[0], strict=True))
    assert by_kind["pooled"] >= 5
    assert by_kind["classes"] >= 5


def test_a_saddle_point_is_left(streams: Mixture, searched: Search) -> None:
    """The pooled fit, the same for every class, is level along all that tells classes apart."""
    pooled = streams.unconstrained(streams.pooled())
    terrain = Terrain(streams, density_of(streams))
    level = climb(terrain.density, streams.join({n: v[None] for n, v in pooled.items()}))
    maximum = terrain.maximum(level.points[0])
    assert maximum.proper
    assert maximum.log_density > level.log_density[0] + 10
    assert maximum.log_density <= searched.maxima[0].log_density + 1e-6


def normal_terrain(mean: FloatArray, covariance: FloatArray) -> Terrain:
    """A normal density, 7 units above its own, in place of one class's posterior."""
    spec = mc.MixtureSpec("y ~ t + I(t**2)", unit="artist", n_components=1)
    mixture = build_mixture(Problem.of(spec, mc.build_panel(spec, artists(units=5))))
    assert mixture.n_free == len(mean)
    precision = np.linalg.inv(covariance)

    def density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        values = np.atleast_1d(multivariate_normal(mean, covariance).logpdf(points))
        return values + 7, -(points - mean) @ precision

    return Terrain(mixture, density)


def test_laplaces_evidence_of_a_normal_density_is_exact() -> None:
    rng = np.random.default_rng(0)
    root = np.tril(rng.normal(size=(4, 4))) + 2 * np.eye(4)
    terrain = normal_terrain(rng.normal(size=4), root @ root.T)
    known: list[Maximum] = []
    ends = climb(terrain.density, 3 * rng.normal(size=(6, 4))).points
    assert (terrain.places(known, ends) == 0).all()
    assert known[0].log_evidence == pytest.approx(7.0, abs=1e-6)
    spread = np.stack(
        [known[0].curvature.spread(rng.standard_normal(4), 1e3) for _ in range(20_000)]
    )
    np.testing.assert_allclose(np.cov(spread.T), root @ root.T, atol=0.4)


def test_the_same_classes_twice_make_fewer_copies(streams: Mixture) -> None:
    """Two classes of one place and height: three numberings in place of six."""
    terrain = Terrain(streams, density_of(streams))
    point = search(terrain, 5, np.random.default_rng(1)).maxima[0].point
    assert terrain.copies(point) == 6
    parts = {name: value.copy() for name, value in streams.split(point[None]).items()}
    for name in ("deviations", "precision_squares"):
        parts[name][:, 1] = parts[name][:, 0]
    parts["weights"][:, 1] = parts["weights"][:, 0]
    assert terrain.copies(streams.join(parts)[0]) == 3
    for name in ("deviations", "precision_squares"):
        parts[name][:, 2] = parts[name][:, 0]
    parts["weights"][:] = 0
    assert terrain.copies(streams.join(parts)[0]) == 1


def test_chains_share_maxima_out_by_their_evidence() -> None:
    shares, counts = np.array([0.5, 0.3, 0.2]), np.zeros(3)
    for seed in range(400):
        places = shared_out(shares, 4, np.random.default_rng(seed))
        assert (np.diff(places) >= 0).all()
        one = np.bincount(places, minlength=3)
        assert (np.abs(one - 4 * shares) < 1).all()
        counts += one
    np.testing.assert_allclose(counts / counts.sum(), shares, atol=0.02)


def test_starts_surround_their_maximum(streams: Mixture, searched: Search) -> None:
    terrain, best = Terrain(streams, density_of(streams)), searched.maxima[0]
    assert evidence_shares(searched.maxima)[0] > 0.999
    start = near_maxima(terrain, searched.maxima, 4, np.random.default_rng(0))
    points = np.stack(
        [
            np.concatenate([v.ravel() for v in start(np.random.default_rng(i), i % 4).values()])
            for i in range(200)
        ]
    )
    heights = terrain.density(points)[0]
    drop = best.log_density - heights
    # Of normal starts one and a half standard deviations off, half a squared length in each of D.
    assert drop.mean() == pytest.approx(0.5 * 1.5**2 * best.point.size, rel=0.25)
    classes = streams.parameters(streams.constrained(streams.split(points)), 200)["coefficients"]
    assert len({tuple(order) for order in classes[:, :, 0, 0].argsort(axis=1)}) == 6


def test_chains_find_the_best_maximum_where_blind_ones_do_not() -> None:
    table: pd.DataFrame = artists()
    options: dict[str, Any] = {"draws": 150, "tune": 200, "seed": 1, "cores": 2}
    fit = mc.fit(STREAMS, table, backend="pymc", **options)
    blind = mc.fit(STREAMS, table, backend="pymc", init="overdispersed", **options)
    best, levels = fit.optima.log_likelihood[0], fit.log_likelihood_by_draw.mean(axis=1)
    assert (levels > best - 20).all()
    assert (blind.log_likelihood_by_draw.mean(axis=1) < best - 100).any()
    assert fit.log_likelihood == pytest.approx(best, abs=3)
    with pytest.raises(KeyError, match="optima"):
        _ = blind.optima
    em = mc.fit(STREAMS, table, starts=30, seed=2)
    assert em.log_likelihood == pytest.approx(best, abs=1.0)


@pytest.fixture(scope="module")
def two() -> tuple[mc.MixtureSpec, pd.DataFrame]:
    spec = mc.MixtureSpec("y ~ t + I(t**2)", unit="artist", n_components=2)
    return spec, artists(units=12, weeks=8)


def test_what_was_found_is_kept_with_the_fit(
    two: tuple[mc.MixtureSpec, pd.DataFrame], tmp_path: Path
) -> None:
    fit = mc.fit(two[0], two[1], backend="pymc", seed=1, draws=40, tune=100, climbs=12)
    optima = fit.optima
    assert optima.n_climbs == optima.climbs.sum() == 12
    assert optima.share.sum() == pytest.approx(1)
    assert optima.starts == KINDS
    assert (np.diff(optima.parameters["weights"], axis=-1) <= 0).all()
    proper = optima.log_evidence[optima.proper]
    assert (np.diff(proper) <= 0).all()
    assert 0 < optima.seconds < fit.seconds
    likelihood = scorer(fit.problem).unit_log_likelihood(optima.parameters)
    np.testing.assert_allclose(likelihood.sum(axis=1), optima.log_likelihood, rtol=1e-10)
    without = fit.tree.copy()
    del without["optima"]  # as those of earlier versions
    assert mc.Fit(without).result.optima is None
    loaded = mc.load(fit.save(tmp_path / "fit.nc"))
    xr.testing.assert_equal(loaded.tree["optima"].to_dataset(), fit.tree["optima"].to_dataset())
    again = loaded.optima
    assert again.starts == optima.starts
    assert (again.n_climbs, again.seconds) == (optima.n_climbs, optima.seconds)
    for name in ("log_posterior", "log_likelihood", "log_evidence", "proper", "iterations"):
        np.testing.assert_array_equal(getattr(again, name), getattr(optima, name))
    np.testing.assert_array_equal(again.climbs_by_start, optima.climbs_by_start)
    for name, values in optima.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], values)


def test_the_same_seed_gives_the_same_draws_on_any_number_of_cores(
    two: tuple[mc.MixtureSpec, pd.DataFrame],
) -> None:
    options: dict[str, Any] = {"draws": 20, "tune": 60, "chains": 5, "seed": 3, "climbs": 10}
    fits = [mc.fit(two[0], two[1], backend="pymc", cores=n, **options) for n in (1, 2)]
    for group in ("posterior", "optima"):
        one, other = (fit.tree[group].to_dataset() for fit in fits)
        xr.testing.assert_identical(one.drop_attrs(), other.drop_attrs())


def test_laplaces_evidence_is_near_that_of_bridge_sampling() -> None:
    spec = mc.MixtureSpec("y ~ t", unit="artist", n_components=2)
    table = artists(units=40, weeks=6)
    fit = mc.fit(spec, table, backend="pymc", seed=1, draws=500, tune=300)
    found = bridge_evidence(fit, np.random.default_rng(1))
    assert fit.optima.log_evidence[0] == pytest.approx(found.value, abs=0.5)


def test_an_approximation_starts_at_the_best_maximum() -> None:
    fit = mc.fit(STREAMS, artists(), backend="pymc", seed=1, sampler="advi", draws=100)
    assert fit.status == "approximate"
    assert fit.draws.statistics["optimum"].tolist() == [0]
    assert fit.draws.statistics["restarted"].tolist() == [False]
    assert fit.log_likelihood == pytest.approx(fit.optima.log_likelihood[0], abs=5)
