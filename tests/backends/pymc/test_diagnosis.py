"""Options of the PyMC backend and its judgement of chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mixcompare.backends.pymc import Options
from mixcompare.backends.pymc.diagnosis import diagnose, occupancy, remarks
from mixcompare.base.errors import OptionError


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
        ("init", "nearby"),
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


def test_a_start_and_its_kind_go_together() -> None:
    for wrong in ({"init": "em"}, {"initial": {"weights": [1.0]}}):
        with pytest.raises(OptionError, match="init='em' needs initial="):
            Options(**wrong)


def test_a_sampler_that_is_not_installed_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"needs the package numpyro.*'mixcompare\[jax\]'"):
        Options(sampler="numpyro")


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
    assert "chains 1, 2, 4 at -100.1; chain 3 at -149.9" in message


def test_chains_are_counted_by_mode_best_first() -> None:
    level = np.array([50.0, 100.0, 51.0, 0.0, 99.5])
    modes = occupancy(independent((5, 200)) + level[:, None])
    assert [members.tolist() for members in modes] == [[1, 4], [0, 2], [3]]


def test_one_chain_cannot_be_judged() -> None:
    status, message = diagnose(
        ["a"], independent((1, 500, 1)), independent((1, 500)), np.zeros((1, 500))
    )
    assert status == "not converged"
    assert "needs two chains" in message


def test_starts_at_an_estimate_and_the_evidence_are_told() -> None:
    stats = {
        "log_marginal_likelihood": np.array([-10.0, -12.0]),
        "log_marginal_likelihood_error": np.array([0.5, 0.5]),
    }
    text = remarks(Options(init="em", initial={"weights": [1.0]}), stats)
    assert "init='em'" in text
    # The mean of the two likelihoods, not of their logarithms.
    assert f"Log marginal likelihood {np.log((np.exp(-10) + np.exp(-12)) / 2):.2f}" in text
    assert "-12.00 to -10.00" in text
    # Two logarithmic units apart, where each expects half a unit of itself.
    assert "chains differ by more than each expects" in text
    assert remarks(Options(), {}) == ""


def test_a_parameter_that_never_varies_does_not_count() -> None:
    aligned = np.concatenate([np.ones((4, 500, 1)), independent((4, 500, 1))], axis=-1)
    status, _ = diagnose(["w", "a"], aligned, independent((4, 500)), np.zeros((4, 500)))
    assert status == "converged"
