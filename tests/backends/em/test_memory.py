"""Memory of whole fits, and parts of arrays that give the same numbers as the arrays."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.sparse import csr_array

import mixcompare as mc
from mixcompare.backends.em import standard_errors, starts
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.clusters import clusters
from mixcompare.backends.em.emissions.normal import starts as normal_starts
from mixcompare.backends.em.emissions.normal.tiled_rows import TiledRows, column
from mixcompare.backends.em.information import free_layout, score_and_information
from mixcompare.backends.em.kernels.compiled_mixture import compiled
from mixcompare.backends.em.standard_errors import standard_errors as errors_of
from mixcompare.backends.em.standard_errors import with_sandwich
from mixcompare.data import panel
from mixcompare.model import layout as of_parameters
from mixcompare.prepared import identification
from mixcompare.prepared.compress import compress
from tests.em_cases import build, normal_data, random_parameters


def table_of(units: int, outcomes: int, classes: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    means = 3 * rng.normal(size=(classes, outcomes))
    values = means[rng.integers(classes, size=units)] + rng.normal(size=(units, outcomes))
    return pd.DataFrame(values, columns=[f"y{i}" for i in range(outcomes)])


def peak_of_fit(units: int, outcomes: int, classes: int) -> float:
    """Bytes that a fit needs at the most beyond its table."""
    table = table_of(units, outcomes, classes)
    spec = mc.MixtureSpec(" + ".join(table.columns) + " ~ 1", n_components=classes)
    # Compiled code is loaded once.
    mc.fit(spec, table.head(500), starts=2, seed=1, max_iterations=2, kernels="numba")
    tracemalloc.start()
    try:
        mc.fit(spec, table, starts=1, seed=1, kernels="numba")
        return float(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_many_rows_are_held_few_times() -> None:
    """Less than four times: sorted, in tiles, and what a start by k-means needs."""
    data = 120_000 * 11 * 8
    assert peak_of_fit(120_000, 10, 4) < 4.0 * data


def test_many_parameters_have_two_large_matrices_at_a_time() -> None:
    of_parameters = 8 * (6 * (1 + 20 + 210)) ** 2
    assert peak_of_fit(3000, 20, 6) < 3.2 * of_parameters


@pytest.mark.parametrize("formula", ["y0 + y1 ~ 1", "y0 ~ y1 + y2", "y0 ~ 1"])
def test_rows_in_tiles_are_those_that_were_packed(formula: str) -> None:
    model = starts_data(mc.MixtureSpec(formula, n_components=2), 1000)
    data, tiled = normal_data(model), normal_data(compiled(model))
    assert isinstance(tiled.outcomes, TiledRows)
    some = np.array([999, 3, 383, 384, 3])
    for whole, held in ((data.covariates, tiled.covariates), (data.outcomes, tiled.outcomes)):
        whole = np.asarray(whole)
        assert held.shape == whole.shape
        assert held.size == whole.size
        np.testing.assert_array_equal(np.asarray(held), whole)
        for part in (
            slice(0, 10),
            slice(380, 390),
            slice(383, 769),
            slice(990, 2000),
            some,
            some[:0],
        ):
            np.testing.assert_array_equal(held[part], whole[part])
        for j in range(whole.shape[2]):
            np.testing.assert_array_equal(column(held, j), whole[..., j])


def test_zeros_that_tiles_leave_out_are_read() -> None:
    """Triangular factors of long units, whose elements below the diagonal are not packed."""
    spec = mc.MixtureSpec("y0 + y1 ~ y2", unit="who", n_components=2)
    table = table_of(900, 3, 3).assign(who=np.arange(900) // 9)
    model = mixture_of(spec, compress(mc.build_panel(spec, table)))
    data, tiled = normal_data(model), normal_data(compiled(model))
    assert isinstance(tiled.covariates, TiledRows)
    np.testing.assert_array_equal(np.asarray(tiled.covariates), data.covariates)
    np.testing.assert_array_equal(np.asarray(tiled.outcomes), data.outcomes)
    assert not np.asarray(tiled.outcomes)[:, -1, 0].any()


@pytest.mark.parametrize(
    ("units", "d", "k"), [(30, 1, 2), (20_001, 1, 3), (9000, 3, 4), (17_000, 8, 5)]
)
def test_clusters_are_those_of_scipy(units: int, d: int, k: int) -> None:
    points = table_of(units, d, k).to_numpy()
    _, expected = kmeans2(points, k, minit="++", missing="raise", rng=np.random.default_rng(3))
    np.testing.assert_array_equal(clusters(points, k, np.random.default_rng(3)), expected)


def test_an_empty_cluster_is_said() -> None:
    points = np.repeat([[0.0, 0.0], [1.0, 2.0]], 10, axis=0)
    with np.errstate(invalid="ignore"):  # all distances are zero
        with pytest.raises(ClusterError):
            kmeans2(points, 4, minit="++", missing="raise", rng=np.random.default_rng(0))
        assert clusters(points, 4, np.random.default_rng(0)) is None


@pytest.mark.parametrize("formula", ["y0 + y1 ~ 1", "y0 + y1 ~ y2"])
def test_responsibilities_alone_are_those_of_the_e_step(formula: str) -> None:
    spec = mc.MixtureSpec(formula, n_components=3)
    data = starts_data(spec, 300)
    at = random_at(spec, data)
    for each in (data, compiled(data)):
        expected = each.expect(at).occupancy
        np.testing.assert_array_equal(each.occupancy(at), expected)


def starts_data(spec: mc.MixtureSpec, units: int) -> Any:
    return mixture_of(spec, compress(mc.build_panel(spec, table_of(units, 3, 3))))


def random_at(spec: mc.MixtureSpec, data: Any) -> Any:
    from mixcompare.backends.em.mixture import maximise

    k = spec.n_components
    return maximise(data, np.random.default_rng(1).dirichlet(np.ones(k), size=data.n_carriers))


def test_unit_summaries_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(m=2).data
    whole = normal_starts.unit_summaries(data)
    monkeypatch.setattr(normal_starts, "UNITS_AT_A_TIME", 7)
    monkeypatch.setattr(starts, "_CARRIERS_AT_A_TIME", 7)
    np.testing.assert_array_equal(normal_starts.unit_summaries(data), whole)
    np.testing.assert_array_equal(starts._spread(whole), whole.std(axis=0))
    np.testing.assert_array_equal(starts._spread(whole[:, :1]), whole[:, :1].std(axis=0))


def test_the_pooled_triangle_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = mc.MixtureSpec("y0 + y1 ~ y2", n_components=2)
    prepared = compress(mc.build_panel(spec, table_of(50, 3, 2)))
    whole = identification._pooled_triangle(prepared)
    monkeypatch.setattr(identification, "_ROWS_AT_A_TIME", 3)
    parted = identification._pooled_triangle(prepared)
    np.testing.assert_allclose(np.abs(parted), np.abs(whole), rtol=0, atol=1e-14)


def test_the_fingerprint_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = mc.MixtureSpec("y0 ~ y1", unit="who", n_components=2)
    table = table_of(40, 2, 2).assign(who=[f"é{i // 2}" for i in range(40)])
    given = mc.build_panel(spec, table)
    whole = given.fingerprint
    monkeypatch.setattr(panel, "_LABELS_AT_A_TIME", 3)
    assert given.fingerprint == whole
    # Of everything at once.
    names = given.outcome_names, given.covariate_names, (), ()
    content = repr(names).encode() + "\0".join(map(str, given.unit_labels)).encode()
    nothing = np.empty(0)
    for array in (given.outcomes, given.covariates, given.unit, nothing, nothing, nothing):
        content += str(array.shape).encode() + array.tobytes()
    assert hashlib.sha256(content).hexdigest() == whole


def test_covariances_of_the_parameters_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    case = build("full", "component", m=2, k=3, seed=4, membership="~ income")
    at = case.model.from_raw(random_parameters(case, seed=5))
    reported = of_parameters.Layout.of(case.spec, case.prepared).parameters
    place = free_layout(case.model)
    whole = standard_errors._jacobian(case.model, at, reported)
    middle = np.random.default_rng(0).normal(size=(place.size, place.size))
    middle = middle @ middle.T
    monkeypatch.setattr(standard_errors, "_COLUMNS_AT_A_TIME", 5)
    parted = standard_errors._jacobian(case.model, at, reported)
    np.testing.assert_array_equal(parted.toarray(), whole.toarray())
    dense = whole.toarray()
    product = standard_errors._between(csr_array(dense), middle)
    np.testing.assert_allclose(product, dense @ middle @ dense.T, rtol=1e-11, atol=1e-11)


def test_the_outer_products_are_kept_where_the_sandwich_needs_them() -> None:
    case = build(m=2)
    assert with_sandwich(case.model, "observed")
    assert with_sandwich(case.model, "sandwich")
    assert not with_sandwich(case.model, "none")
    spec = mc.MixtureSpec("y0 + y1 ~ 1", n_components=2)
    data = starts_data(spec, 200)
    assert not with_sandwich(data, "observed")
    at = random_at(spec, data)
    assert score_and_information(data, at, keep_outer=False).outer is None
    prepared = compress(mc.build_panel(spec, table_of(200, 3, 3)))
    reported = of_parameters.Layout.of(spec, prepared).parameters
    known, _ = errors_of(data, at, reported, "sandwich", anywhere=True)
    assert known.reason or known.sandwich is not None
