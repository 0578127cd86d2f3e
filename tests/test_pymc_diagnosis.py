"""Options of the PyMC backend and its judgement of chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mixcompare.backends.pymc import Options
from mixcompare.backends.pymc.diagnosis import diagnose
from mixcompare.errors import OptionError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("draws", 0),
        ("draws", 2.5),
        ("tune", -1),
        ("chains", True),
        ("chains", 0),
        ("cores", 0),
        ("sampler", "stan"),
        ("target_accept", 1.0),
        ("target_accept", "high"),
        ("progress", "yes"),
    ],
)
def test_an_option_out_of_range_names_itself_and_its_value(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as raised:
        Options(**{name: value})
    assert name in str(raised.value)
    assert repr(value) in str(raised.value)


def independent(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape)


def test_independent_draws_are_converged() -> None:
    status, message = diagnose(
        ["a", "b"], independent((4, 500, 2)), -100 + independent((4, 500)), np.zeros((4, 500))
    )
    assert status == "converged"
    assert message.startswith("4 chains of 500 draws: largest R-hat 1.0")


def test_a_divergence_is_told() -> None:
    diverging = np.zeros((4, 500))
    diverging[1, 3] = 1
    status, message = diagnose(["a"], independent((4, 500, 1)), independent((4, 500)), diverging)
    assert status == "not converged"
    assert "1 divergent transition." in message
    assert "Missed: no divergent transitions." in message


def test_chains_in_different_modes_are_told_by_the_log_likelihood() -> None:
    log_likelihood = independent((4, 500)) - np.array([100, 100, 150, 100])[:, None]
    aligned = independent((4, 500, 1))
    status, message = diagnose(["a"], aligned, log_likelihood, np.zeros((4, 500)))
    assert status == "not converged"
    assert "different modes" in message
    assert "-150" in message or "-149.9" in message


def test_a_parameter_that_never_varies_does_not_count() -> None:
    aligned = np.concatenate([np.ones((4, 500, 1)), independent((4, 500, 1))], axis=-1)
    status, _ = diagnose(["w", "a"], aligned, independent((4, 500)), np.zeros((4, 500)))
    assert status == "converged"
