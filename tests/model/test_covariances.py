"""The covariance structures: their free numbers, their priors, and that they are told apart."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.em.emissions.normal.covariances import log_covariance_prior
from mixcompare.model.covariances import (
    STRUCTURES,
    Covariance,
    elements,
    has_covariances,
    narrowest,
    nearest,
)

NAMES: list[Covariance] = ["spherical", "diagonal", "full"]
NU, PSI = 7.0, np.array([[2.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 0.5]])


def drawn(name: Covariance, size: int = 4) -> np.ndarray:
    return STRUCTURES[name].draw(NU, PSI, size, np.random.default_rng(3))


@pytest.mark.parametrize("m", [1, 2, 4])
def test_free_numbers_are_counted_and_hold_symmetric_places_once(m: int) -> None:
    wanted = {"spherical": 1, "diagonal": m, "full": m * (m + 1) // 2}
    for name in NAMES:
        found = elements(name, m)
        assert len(found) == wanted[name]
        places = [place for group in found for place in group]
        assert len(places) == len(set(places))
        assert {(j, i) for i, j in places} == set(places)
    assert [has_covariances(name) for name in NAMES] == [False, False, True]


@pytest.mark.parametrize("name", NAMES)
def test_draws_of_a_prior_have_the_structure_and_no_narrower_one(name: Covariance) -> None:
    sigma = drawn(name)
    assert (np.linalg.eigvalsh(sigma) > 0).all()
    assert narrowest(sigma, np.array(1e-12), "spherical") == name
    np.testing.assert_allclose(nearest(name, sigma), sigma, rtol=1e-15)
    # The one that is asked for first counts if it fits.
    assert narrowest(sigma, np.array(1e-12), "full") == "full"


def test_nearest_averages_what_is_one_number_and_drops_the_rest() -> None:
    matrix = np.array([[1.0, 2.0], [4.0, 3.0]])
    assert nearest("full", matrix).tolist() == [[1.0, 3.0], [3.0, 3.0]]
    assert nearest("diagonal", matrix).tolist() == [[1.0, 0.0], [0.0, 3.0]]
    assert nearest("spherical", matrix).tolist() == [[2.0, 0.0], [0.0, 2.0]]


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_the_prior_is_that_of_ems_density(name: Covariance) -> None:
    """Moving every place of a free number by a step moves the log-density by the derivatives."""
    spec = mc.MixtureSpec("a + b + c ~ 1", n_components=1, covariance=name)
    raw: Any = SimpleNamespace(covariance_df=NU, covariance_scale=PSI)
    sigma = drawn(name, 1)
    gradient = STRUCTURES[name].log_prior_gradient(NU, PSI, sigma)[0]
    step = 1e-6
    for group in elements(name, 3):
        direction = np.zeros((3, 3))
        direction[tuple(zip(*group, strict=True))] = 1.0
        ends = [
            log_covariance_prior(spec.response, raw, sigma + s * direction) for s in (step, -step)
        ]
        difference = (ends[0] - ends[1])[0] / (2 * step)
        total = sum(gradient[place] for place in group)
        assert total == pytest.approx(difference, rel=1e-6, abs=1e-6)
