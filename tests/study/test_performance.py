"""Performance measures against numbers worked out by hand, and their errors by simulation."""

import numpy as np
import pytest

from mixcompare.labels.metrics import brier_score
from mixcompare.study.measures import performance
from mixcompare.study.measures.performance import Replicates, measures, relative_precision

# Errors 0.1, -0.1, 0.3, 0.1: mean 0.1, squared deviations 0, 0.04, 0.04, 0.
ESTIMATE = np.array([1.1, 0.9, 1.3, 1.1])
SE = np.array([0.1, 0.2, 0.1, 0.2])
TABLE = Replicates(np.ones(4), ESTIMATE, SE, ESTIMATE - 2.5 * SE, ESTIMATE + 2.5 * SE)

BY_HAND = {
    "bias": (0.1, np.sqrt(0.08 / 12)),
    "relative_bias": (0.1, np.sqrt(0.08 / 12)),
    "empirical_se": (np.sqrt(0.08 / 3), np.sqrt(0.08 / 3) / np.sqrt(6)),
    # Squares 0.01, 0.01, 0.09, 0.01: mean 0.03, squared deviations 3 x 0.0004 and 0.0036.
    "mse": (0.03, np.sqrt(0.0048 / 12)),
    # Variances 0.01, 0.04, 0.01, 0.04: mean 0.025, sample variance 0.0009 / 3.
    "model_se": (np.sqrt(0.025), np.sqrt(0.0003 / (4 * 4 * 0.025))),
    # 100 (0.1581139 / 0.1632993 - 1); 96.82458 sqrt(0.0003 / (16 x 0.000625) + 1 / 6).
    "model_se_error": (-3.1754163, 42.938910),
    # [0.85, 1.35], [0.4, 1.4], [1.05, 1.55] and [0.6, 1.6]: the third misses 1, none misses 1.1.
    "coverage": (0.75, np.sqrt(0.75 * 0.25 / 4)),
    "bias_eliminated_coverage": (1.0, 0.0),
    "rejection": (0.75, np.sqrt(0.75 * 0.25 / 4)),
}


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_measure_is_what_the_hand_gives(name: str) -> None:
    found = measures(TABLE, null=0.5)[name]
    np.testing.assert_allclose(found[:2], BY_HAND[name], rtol=1e-6, atol=1e-12)
    assert found.n == 4


def test_relative_precision_by_hand() -> None:
    baseline = np.array([0.2, -0.2, 0.4, 0.0])
    # Variances 0.2 / 3 against 0.08 / 3; correlation 0.12 / sqrt(0.08 x 0.2).
    found = relative_precision(ESTIMATE - 1, baseline)
    np.testing.assert_allclose(found[:2], (150.0, 500 * np.sqrt(0.1 / 3)), rtol=1e-12)


def test_replicates_without_a_number_are_left_out_and_counted() -> None:
    hole = np.append(ESTIMATE, np.nan)
    gap = np.append(SE, 0.1)
    gap[1] = np.nan
    found = measures(Replicates(np.ones(5), hole, gap, hole - gap, hole + gap))
    assert found["bias"].n == 4
    assert found["model_se"].n == found["coverage"].n == 3
    assert found["bias"].value == pytest.approx(0.1)


def test_truth_that_varies_gives_errors_of_each_replicate() -> None:
    shift = np.array([0.0, 5.0, -3.0, 1.0])
    moved = Replicates(TABLE.truth + shift, ESTIMATE + shift, SE, TABLE.lower + shift,
                       TABLE.upper + shift)  # fmt: skip
    for name in ("bias", "empirical_se", "mse", "coverage", "bias_eliminated_coverage"):
        np.testing.assert_allclose(measures(moved)[name], measures(TABLE)[name])


def test_no_or_one_replicate_gives_nan_not_an_error() -> None:
    for n in (0, 1):
        empty = Replicates(*(np.ones(n),) * 5)
        for found in measures(empty).values():
            assert found.n == n
            assert np.isnan(found.error) or found.error == 0


def test_monte_carlo_errors_are_the_spread_over_many_studies() -> None:
    rng = np.random.default_rng(8)
    studies, n = 2000, 200
    common = rng.normal(size=(studies, n))
    first = common + rng.normal(size=(studies, n))
    second = common + 0.7 * rng.normal(size=(studies, n))
    variance = 2 * rng.chisquare(20, size=(studies, n)) / 20
    found = {
        "empirical_se": [performance.empirical_se(e) for e in first],
        "mse": [performance.mean_squared_error(e) for e in first],
        "model_se": [performance.model_se(v) for v in variance],
        "model_se_error": [
            performance.model_se_error(v, performance.empirical_se(e))
            for v, e in zip(variance, first, strict=True)
        ],
        "relative_precision": [
            relative_precision(a, b) for a, b in zip(first, second, strict=True)
        ],
    }
    for name, results in found.items():
        values = np.array([result.value for result in results])
        errors = np.array([result.error for result in results])
        # The error's own error is 1 / sqrt(2 x 2000) = 1.6 %; the formulae are first-order in 1/n.
        assert errors.mean() / values.std() == pytest.approx(1, abs=0.06), name


def test_brier_score_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]])
    classes = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert brier_score(probabilities, classes) == pytest.approx((0.08 + 0.72) / 2)
