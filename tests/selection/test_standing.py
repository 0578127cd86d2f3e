"""Which posteriors may be ranked, and what is tried before one is given up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.pymc.posterior_density import posterior_density
from mixcompare.selection import standing as module
from mixcompare.selection.standing import Standing, depth, settle, unranked
from tests.selection.test_selection import SPEC, separated
from tests.stand_in_posterior import stand_in

SEED = np.random.SeedSequence(3)


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(SPEC, separated(), starts=6, seed=1)


@pytest.fixture(scope="module")
def worse(em: mc.Fit) -> mc.Fit:
    """A point far below the maximum, as chains may sit at that miss it."""
    even = np.full((em.panel.n_units, 2), 0.5)
    return mc.fit(SPEC, em.panel, starts=0, initial=even, max_iterations=2)


def test_depth_is_that_of_the_posterior_density(em: mc.Fit) -> None:
    drawn = stand_in(em, draws=60, chains=2)
    density, layout = posterior_density(drawn.problem), em.layout
    flat = {n: v.reshape(-1, *v.shape[2:]) for n, v in drawn.draws.parameters.items()}
    top = {name: values[None] for name, values in em.estimate.items()}
    by_draw = density(density.coordinates(layout.take(flat)))
    expected = density(density.coordinates(layout.take(top)))[0] - by_draw.max()
    assert depth(drawn, em) == pytest.approx(expected, abs=1e-7)


def test_an_empty_class_is_no_mode_to_miss(em: mc.Fit) -> None:
    empty = mc.fit(SPEC, em.panel, starts=0, initial=em.estimate, max_iterations=1)
    empty.result.parameters["weights"][:] = (1.0, 0.0)
    assert depth(stand_in(em, draws=60, chains=2), empty) == -np.inf


def test_chains_that_agree_below_the_maximum_are_not_ranked(em: mc.Fit, worse: mc.Fit) -> None:
    low = stand_in(em, draws=60, chains=2, spread=1e-3, offset=_away(em))
    assert low.status == "converged"
    below = depth(low, em)
    assert below > 30
    assert f"{below:.1f} below that at EM's maximum" in unranked(low, em)
    assert unranked(low, None) == ""
    assert unranked(stand_in(em, draws=60, chains=2), em) == ""
    assert unranked(stand_in(em, draws=60, chains=2), worse) == ""


def _away(em: mc.Fit) -> np.ndarray:
    return np.where([name.startswith("coefficients") for name in em.layout.names()], 1.0, 0.0)


def test_once_more_with_another_seed(em: mc.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _patched(monkeypatch, _failing(em), stand_in(em, draws=60, chains=2))
    found, standing = settle(SPEC, em.panel, em, SEED, {"draws": 60, "tune": 40})
    assert standing == Standing("converged", 1, "")
    assert found.status == "converged"
    assert asked[0]["seed"] != asked[1]["seed"]
    # The chains are in one mode: it is their number of draws that is too small.
    assert (asked[1]["draws"], asked[1]["tune"]) == (120, 80)


def test_what_can_be_ranked_is_sampled_once(em: mc.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _patched(monkeypatch, stand_in(em, draws=60, chains=2))
    assert settle(SPEC, em.panel, em, SEED, {})[1] == Standing("converged", 0, "")
    assert len(asked) == 1


def test_more_draws_do_not_join_modes(em: mc.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    low = stand_in(em, draws=60, chains=2, spread=1e-3, offset=_away(em))
    asked = _patched(monkeypatch, low, _failing(em))
    found, standing = settle(SPEC, em.panel, em, SEED, {"draws": 60})
    assert asked[1]["draws"] == 60
    assert standing.restarts == 1
    # The better of the two is shown.
    assert found.log_likelihood > low.log_likelihood
    assert standing.unranked == "made for a test, not sampled So it was, too, with another seed."


def test_one_chain_is_not_tried_again(em: mc.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _patched(monkeypatch, _failing(em, chains=1))
    assert settle(SPEC, em.panel, em, SEED, {"chains": 1})[1].restarts == 0
    assert len(asked) == 1


def test_particles_are_doubled(em: mc.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _patched(monkeypatch, _failing(em), stand_in(em, draws=60, chains=2))
    settle(SPEC, em.panel, em, SEED, {"sampler": "smc", "draws": 70})
    assert asked[1]["draws"] == 140
    assert "tune" not in asked[1]


def _failing(em: mc.Fit, chains: int = 2) -> mc.Fit:
    made = stand_in(em, draws=60, chains=chains)
    made.tree.attrs["status"] = "not converged"
    return made


def _patched(patch: pytest.MonkeyPatch, *fits: mc.Fit) -> list[dict[str, Any]]:
    """What `settle` asks for when it is given these fits in turn."""
    asked: list[dict[str, Any]] = []
    waiting = iter(fits)

    def fit(_spec: mc.MixtureSpec, _panel: mc.Panel, **options: Any) -> mc.Fit:
        asked.append(options)
        return next(waiting)

    patch.setattr(module, "fit", fit)
    return asked
