"""The list of reported scalars: names, places, counts."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from mixcompare.model.parameters import Parameter, flatten, reported_parameters, unflatten
from mixcompare.model.spec import MixtureSpec
from tests.em_cases import Names

STRUCTURES = [(c, by) for c in ("full", "diagonal", "spherical") for by in ("component", "shared")]
SHAPES = {"weights": (2,), "coefficients": (2, 2, 2), "covariance": (2, 2, 2)}


def parameters(covariance: Any, by: Any, k: int, p: int, m: int) -> tuple[Parameter, ...]:
    spec = MixtureSpec("y ~ x", n_components=k, covariance=covariance, covariance_by=by)
    return reported_parameters(
        spec, Names(tuple(f"x{i}" for i in range(p)), tuple(f"y{j}" for j in range(m)))
    )


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
@pytest.mark.parametrize(("k", "p", "m"), [(1, 1, 1), (3, 2, 1), (2, 1, 3), (4, 3, 2)])
def test_one_scalar_per_free_parameter_and_one_weight_more(
    covariance: Any, by: Any, k: int, p: int, m: int
) -> None:
    listed = parameters(covariance, by, k, p, m)
    spec = MixtureSpec("y ~ x", n_components=k, covariance=covariance, covariance_by=by)
    assert len(listed) == spec.n_parameters(p, m) + 1
    assert len({q.name for q in listed}) == len(listed)
    places = [(q.variable, place) for q in listed for place in q.positions]
    assert len(set(places)) == len(places)


def test_names_with_one_outcome() -> None:
    assert [q.name for q in parameters("full", "component", 2, 1, 1)] == [
        "weights[1]",
        "weights[2]",
        "coefficients[1, x0]",
        "coefficients[2, x0]",
        "covariance[1]",
        "covariance[2]",
    ]
    assert parameters("full", "shared", 2, 1, 1)[-1].name == "covariance"


@pytest.mark.parametrize(
    ("covariance", "by", "names"),
    [
        ("full", "component", ["1, y0, y0", "1, y1, y0", "1, y1, y1"]),
        ("diagonal", "component", ["1, y0, y0", "1, y1, y1"]),
        ("spherical", "component", ["1"]),
        ("full", "shared", ["y0, y0", "y1, y0", "y1, y1"]),
        ("diagonal", "shared", ["y0, y0", "y1, y1"]),
    ],
)
def test_names_of_covariances(covariance: Any, by: Any, names: list[str]) -> None:
    listed = parameters(covariance, by, 2, 1, 2)
    assert listed[2].name == "coefficients[1, x0, y0]"
    expected = names if by == "shared" else [*names, *(n.replace("1", "2", 1) for n in names)]
    found = [q.name for q in listed if q.variable == "covariance"]
    assert found == [f"covariance[{name}]" for name in expected]


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_variances_and_classes(covariance: Any, by: Any) -> None:
    for q in parameters(covariance, by, 2, 2, 2):
        if q.variable == "covariance":
            assert q.is_variance == all(i == j for _, i, j in q.positions)
            assert (q.component is None) == (by == "shared")
        else:
            assert not q.is_variance
            assert q.component == q.position[0] + 1


@pytest.mark.parametrize("sample", [(), (7,), (2, 5)])
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_flattening_takes_every_value_from_its_place(
    covariance: Any, by: Any, sample: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    listed = parameters(covariance, by, 2, 2, 2)
    arrays = {name: rng.normal(size=(*sample, *shape)) for name, shape in SHAPES.items()}
    dims = [f"sample_{i}" for i in range(len(sample))]
    dataset = xr.Dataset(
        {
            name: ((*dims, *(f"{name}_{i}" for i in range(len(SHAPES[name])))), array)
            for name, array in arrays.items()
        }
    )
    flat = flatten(dataset, listed)
    assert flat.shape == (*sample, len(listed))
    for i, q in enumerate(listed):
        place: tuple[Any, ...] = (..., *q.position)
        np.testing.assert_array_equal(flat[..., i], arrays[q.variable][place])


@pytest.mark.parametrize(
    ("covariance", "by", "matrices"),
    [
        ("full", "component", [[[1, 2], [2, 3]], [[4, 5], [5, 6]]]),
        ("diagonal", "component", [[[1, 0], [0, 2]], [[3, 0], [0, 4]]]),
        ("spherical", "component", [[[1, 0], [0, 1]], [[2, 0], [0, 2]]]),
        ("full", "shared", [[[1, 2], [2, 3]]] * 2),
        ("diagonal", "shared", [[[1, 0], [0, 2]]] * 2),
        ("spherical", "shared", [[[1, 0], [0, 1]]] * 2),
    ],
)
def test_unflattening_by_hand_and_back(covariance: Any, by: Any, matrices: Any) -> None:
    listed = parameters(covariance, by, 2, 2, 2)
    head = np.arange(-10.0, 0)
    values = np.concatenate([head, np.arange(1.0, len(listed) - 9)])
    arrays = unflatten(values, listed, SHAPES)
    np.testing.assert_array_equal(arrays["weights"], [-10, -9])
    np.testing.assert_array_equal(arrays["coefficients"].ravel(), np.arange(-8.0, 0))
    np.testing.assert_array_equal(arrays["covariance"], matrices)
    dataset = xr.Dataset({n: ([f"{n}_{i}" for i in range(a.ndim)], a) for n, a in arrays.items()})
    np.testing.assert_array_equal(flatten(dataset, listed), values)
