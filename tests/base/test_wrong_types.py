"""What was given and what was meant, for the slips that people make in a first hour."""

from functools import cache
from typing import Any

import numpy as np
import pytest

import mixcompare as mc

SPEC = mc.MixtureSpec("y ~ x", unit="u", n_components=2)


@cache
def table() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(40), 5)
    x = rng.normal(size=200)
    return {"u": unit, "x": x, "y": np.where(unit < 20, 5, -5) + x + rng.normal(size=200)}


@cache
def em() -> mc.Fit:
    return mc.fit(SPEC, table(), starts=4, seed=1, progress=False)


@pytest.mark.parametrize(
    ("covariance", "by", "words"),
    [
        ("tied", "component", r"'tied' \(write covariance='full', covariance_by='shared'\)"),
        ("diag", "component", r"'diag' \(write covariance='diagonal'\)"),
        ("isotropic", "component", r"write covariance='spherical'"),
        ("EEI", "component", r"write covariance='diagonal', covariance_by='shared'"),
        ("diagnoal", "component", r"did you mean 'diagonal'\?"),
        ("Full", "component", r"did you mean 'full'\?"),
        ("full", "tied", r"write covariance_by='shared'"),
        ("full", "class", r"write covariance_by='component'"),
        ("full", "sharde", r"did you mean 'shared'\?"),
        ("full", None, r"one of component, shared, not None\."),
    ],
)
def test_names_of_covariances_elsewhere(covariance: Any, by: Any, words: str) -> None:
    with pytest.raises(mc.SpecificationError, match=words):
        mc.MixtureSpec("y ~ x", n_components=2, covariance=covariance, covariance_by=by)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mc.compare([em(), em()]), r"takes a Fit, not a list: .*compare\(\*fits\)"),  # type: ignore[arg-type]
        (lambda: mc.compare("em.nc", em()), r"not a str \('em.nc'\): mixcompare.load"),  # type: ignore[arg-type]
        (lambda: mc.compare(em().tree, em()), "not a DataTree"),  # type: ignore[arg-type]
        (lambda: mc.compare(em(), thresholds=0.1), "must be a Thresholds, not a float"),  # type: ignore[arg-type]
        (lambda: mc.predict(SPEC, table()), "predict takes a Fit, not a MixtureSpec: fit"),  # type: ignore[arg-type]
        (lambda: mc.predict("em.nc", table()), "predict takes a Fit, not a str"),  # type: ignore[arg-type]
        (lambda: mc.predict(em(), table(), interval="a"), "interval must be"),  # type: ignore[arg-type]
        (lambda: mc.predict(em(), table(), classes="priors"), "did you mean 'prior'"),  # type: ignore[arg-type]
        (lambda: mc.predictive_draws(SPEC, seed=1), "predictive_draws takes a Fit"),  # type: ignore[arg-type]
        (lambda: mc.predictive_draws(em(), seed=-1), "seed must be a whole number"),
        (lambda: mc.prediction_table(em()), "what mixcompare.predict returns, not a Fit"),  # type: ignore[arg-type]
        (lambda: mc.bootstrap(SPEC), "bootstrap takes a Fit"),  # type: ignore[arg-type]
        (lambda: mc.leave_one_out("em.nc"), "leave_one_out takes a Fit"),  # type: ignore[arg-type]
        (lambda: mc.posterior_predictive(SPEC), "posterior_predictive takes a Fit"),  # type: ignore[arg-type]
        (lambda: mc.prior_sensitivity(3), r"prior_sensitivity takes a Fit, not an int \(3\)"),  # type: ignore[arg-type]
        (lambda: mc.load(em()), "load takes the path of a saved fit, not a Fit"),  # type: ignore[arg-type]
        (lambda: mc.fit(table(), SPEC), "fit takes a MixtureSpec first and then the data"),  # type: ignore[arg-type]
        (lambda: mc.build_panel("y ~ x", table()), r"build_panel takes .*not a str \('y ~ x'\)"),  # type: ignore[arg-type]
        (lambda: mc.calibrate(table(), SPEC), "calibrate takes a MixtureSpec first"),  # type: ignore[arg-type]
        (lambda: mc.select(table(), SPEC), "select takes a MixtureSpec first"),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_are_named(call: Any, words: str) -> None:
    with pytest.raises(mc.MixCompareError, match=words):
        call()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_components": 4}, r"several values, as in range\(1, 6\).*not an int \(4\)"),
        ({"n_components": "123"}, r"several values.*not a str"),
        ({"n_components": None}, "several values"),
        ({"posterior": "loo"}, r"posterior must be several values, as in \('loo', 'bridge'\)"),
        ({"replicates": "99"}, "replicates must be a whole number"),
        ({"sampling": 3}, "sampling must be a mapping"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"workers": 1.5}, "workers must be a whole number"),
    ],
)
def test_options_of_select(options: dict[str, Any], words: str) -> None:
    with pytest.raises(mc.OptionError, match=words):
        mc.select(SPEC, table(), **options)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda p: p["coeficients"][0, 0, 0],
            r"'coeficients'.*They are .*coefficients \(mixture_comp",
        ),
        (lambda p: p["coefficients"].sel(covariate="z"), r"covariate \['Intercept', 'x'\]"),
        (lambda p: p.weigths[0], "weigths"),
        (lambda p: p["weights"][5], "IndexError"),
        (lambda _: "a", "could not convert"),
        (lambda: 1.0, "TypeError"),
        (3, r"takes a function of the parameters.*not an int \(3\)"),
    ],
)
def test_functions_that_ask_for_what_is_not_there(function: Any, words: str) -> None:
    with pytest.raises(mc.OptionError, match=words):
        mc.delta_method(em(), function)
