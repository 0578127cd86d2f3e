"""Runs of sequential Monte Carlo are held against the maxima that climbs have found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.pymc.diagnosis import missed_maximum
from mixcompare.backends.pymc.search.curvature import Curvature
from mixcompare.backends.pymc.search.maxima import Maximum
from mixcompare.backends.pymc.search.search import Search
from mixcompare.base.arrays import FloatArray
from tests.backends.pymc.search.test_search import STREAMS, artists

# Of a normal posterior with height 0 and so much evidence.
D, EVIDENCE = 8, 4 * np.log(2 * np.pi)


def found(height: float = 0.0, *, proper: bool = True) -> Search:
    bend = Curvature(np.ones(D), np.eye(D))
    evidence = EVIDENCE + height if proper else np.nan
    maximum = Maximum(np.zeros(D), height, bend, proper, evidence, np.ones((1, 1)))
    one = np.zeros(1, dtype=np.intp)
    return Search((maximum,), one, one, one, 0.1)


def particles(*shifts: float, evidence: float = EVIDENCE) -> dict[str, FloatArray]:
    """Statistics of runs whose draws are below those of the posterior by some shifts."""
    rng = np.random.default_rng(1)
    lp = -0.5 * (rng.normal(size=(len(shifts), 200, D)) ** 2).sum(axis=-1)
    values = np.full(len(shifts), evidence)
    return {
        "lp": lp - np.array(shifts)[:, None],
        "log_marginal_likelihood": values,
        "log_marginal_likelihood_error": np.full(len(shifts), 0.1),
    }


def test_runs_at_the_maximum_have_missed_nothing() -> None:
    assert missed_maximum(found(), particles(0.0, 0.0)) == ""
    assert missed_maximum(found(), {"lp": particles(50.0)["lp"]}) == ""  # of another sampler
    assert missed_maximum(None, particles(50.0)) == ""
    assert missed_maximum(found(proper=False), particles(50.0)) == ""


def test_runs_below_it_are_named() -> None:
    text = missed_maximum(found(), particles(0.0, 40.0, 60.0))
    assert text.startswith(" Chains 2, 3 missed a mode that climbs have found")
    assert "cannot be relied on" in text


def test_a_maximum_of_little_mass_may_be_missed() -> None:
    """A high and narrow one, whose evidence is no tenth of what the runs have found."""
    low = particles(40.0, 40.0, evidence=EVIDENCE + 2.0)
    assert "missed" in missed_maximum(found(), low)
    assert missed_maximum(found(), {**low, "log_marginal_likelihood": np.full(2, 12.0)}) == ""


@pytest.mark.slow
def test_particles_that_merge_classes_do_not_count_as_converged() -> None:
    """Units of 60 rows: a few particles do not meet all classes on their way from the prior."""
    fit = mc.fit(STREAMS, artists(), backend="pymc", sampler="smc", draws=20, chains=2, seed=1)
    high = fit.optima.log_likelihood[0]
    near = fit.log_likelihood_by_draw.max(axis=1) > high - 20
    assert fit.optima.log_likelihood[0] > -2500
    assert ("missed a mode that climbs have found" in fit.message) == (not near.all())
    assert near.all() or fit.status == "not converged"
    alone = replace(STREAMS, n_components=1)
    one = mc.fit(alone, artists(), backend="pymc", sampler="smc", draws=200, chains=2, seed=1)
    assert "missed" not in one.message
