"""Class membership by unit covariates: Newton's maximum, likelihood, estimates, errors."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

import mixcompare as mc
from mixcompare.backends.em.classes.membership import log_class_probabilities, maximise
from tests.em_cases import build, random_parameters, simulate


def test_newton_finds_statsmodels_multinomial_logit() -> None:
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    truth = np.array([[0, 0, 0], [0.5, 1.0, -1.0], [-0.5, 0.3, 2.0]])
    chosen = (design @ truth.T + rng.gumbel(size=(300, 3))).argmax(axis=1)
    ours = maximise(design, np.eye(3)[chosen], np.zeros((3, 3)), None)
    theirs = sm.MNLogit(chosen, design).fit(disp=0, tol=1e-12).params
    np.testing.assert_allclose(ours[1:].T, theirs, rtol=1e-7)
    np.testing.assert_array_equal(ours[0], 0)


def test_newton_survives_separation_and_far_starts() -> None:
    design = np.column_stack([np.ones(20), np.linspace(-1, 1, 20)])
    counts = np.eye(2)[(design[:, 1] > 0).astype(int)]
    found = maximise(design, counts, np.zeros((2, 2)), None)
    assert np.isfinite(found).all()
    assert (counts * log_class_probabilities(design, found)).sum() > -1e-6
    soft = 0.9 * counts + 0.05
    near, far = (maximise(design, soft, np.full((2, 2), v) * [[0], [1]], None) for v in (0.0, 30.0))
    np.testing.assert_allclose(near, far, atol=1e-6)


def panel(seed: int = 0, units: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    income = rng.normal(40, 10, size=units)
    probability = 1 / (1 + np.exp(-(income - 40) / 8))
    classes = rng.random(units) < probability
    unit = np.repeat(np.arange(units), 3)
    x = rng.normal(size=unit.size)
    y = np.where(classes[unit], 1 + x, -1 - x) + rng.normal(size=unit.size)
    return pd.DataFrame({"unit": unit, "x": x, "y": y, "income": income[unit]})


SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, membership="~ income")


def test_likelihood_equals_brute_force_and_the_logit_is_recovered() -> None:
    table = panel()
    fit = mc.fit(SPEC, table, starts=8)
    odds = fit.tree["estimate"]["membership_coefficients"].to_numpy()
    np.testing.assert_array_equal(odds[0], 0)
    income = table.groupby("unit")["income"].first().to_numpy()
    prior = log_softmax(np.column_stack([np.ones(300), income]) @ odds.T, axis=1)
    joint = prior.copy()
    b, sigma = fit.coefficients.to_numpy()[..., 0], np.sqrt(fit.covariance.to_numpy()[:, 0, 0])
    for k in range(2):
        density = norm.logpdf(table["y"], b[k, 0] + b[k, 1] * table["x"], sigma[k])
        joint[:, k] += pd.Series(density).groupby(table["unit"]).sum().to_numpy()
    by_unit = logsumexp(joint, axis=1)
    np.testing.assert_allclose(fit.tree["estimate"]["log_likelihood"], by_unit, rtol=1e-11)
    np.testing.assert_allclose(fit.weights, np.exp(prior).mean(axis=0), rtol=1e-12)
    slope = fit.summary().loc["membership[2, income]"]
    true = 1 / 8 if b[1, 1] > 0 else -1 / 8
    assert slope["lower"] < true < slope["upper"]
    assert fit.n_parameters == 8


def test_a_constant_alone_is_the_model_without() -> None:
    table = panel()
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, membership="~ 1")
    assert spec.membership is None
    zero = table.assign(income=np.repeat(np.tile([1.0, -1.0], 150), 3))
    # A covariate that tells nothing adds next to nothing.
    plain, more = mc.fit(spec, zero, starts=6), mc.fit(SPEC, zero, starts=6)
    assert 0 <= more.log_likelihood - plain.log_likelihood < 3


def test_standard_errors_do_not_depend_on_the_covariates_origin_and_scale() -> None:
    table = panel()
    one = mc.fit(SPEC, table, starts=4)
    other = mc.fit(SPEC, table.assign(income=lambda t: (t["income"] - 40) / 10), starts=4)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-10)
    for column in ("estimate", "se"):
        ours, theirs = one.summary()[column], other.summary()[column]
        name = "membership[2, income]"
        assert ours[name] * 10 == pytest.approx(theirs[name], rel=1e-4)
        assert ours["weights[1]"] == pytest.approx(theirs["weights[1]"], rel=1e-4)


def test_relabelling_changes_the_reference_class() -> None:
    case = build(m=1, k=3, membership="~ income")
    at = random_parameters(case, seed=2)
    order = np.array([2, 0, 1])
    moved = case.model.permute(at, order)
    odds, other = (theta.blocks["membership_coefficients"] for theta in (at, moved))
    np.testing.assert_array_equal(other[0], 0)
    np.testing.assert_allclose(other, odds[order] - odds[2])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(income=np.arange(len(t))), "'income' is read once per unit"),
        (lambda t: t.drop(columns="income"), "unknown column 'income'"),
        (lambda t: t.assign(income=np.nan), "missing values (income"),
        (lambda t: t.assign(income=5.0), "membership covariate 'income'"),
    ],
)
def test_bad_unit_covariates_are_refused(change, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(mc.DataError) as raised:
        mc.fit(SPEC, change(panel(units=20)), starts=1)
    assert words in str(raised.value)


def test_simulated_classes_follow_their_probabilities() -> None:
    table = simulate(units=2000, rows=(1, 1), seed=3)
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2, membership="~ income")
    built = mc.build_panel(spec, table)
    odds = np.array([[0.0, 0.0], [-4.0, 0.1]])
    from mixcompare.simulate.outcomes import simulate as draw

    at = {
        "weights": np.full(2, 0.5),
        "coefficients": np.zeros((2, 2, 1)),
        "covariance": np.ones((2, 1, 1)),
        "membership_coefficients": odds,
    }
    _, classes = draw(spec, built, at, np.random.default_rng(0))
    logit = sm.Logit(classes, built.concomitants).fit(disp=0)
    assert np.all(np.abs(logit.params - odds[1]) < 4 * logit.bse)
