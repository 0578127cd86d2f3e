"""Mechanisms of the user's own: what they are given, what they must give, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixcompare import DataError, OptionError
from mixcompare.study.file.custom import source_of
from mixcompare.study.file.load import Study, build_study
from mixcompare.study.mechanism.generate import DataSet, generate
from mixcompare.study.report import wording
from mixcompare.study.run.run_study import run_study

HERE = "tests.study.test_custom"


def skewed(
    rng: np.random.Generator,
    weights: list[float],
    coefficients: dict[str, list[float]],
    covariance: float,
    units: int = 30,
    rows: int = 5,
    shape: float = 2.0,
) -> pd.DataFrame:
    """Units whose errors are gamma, centred and scaled."""
    unit = np.repeat(np.arange(units), rows)
    classes = rng.choice(len(weights), size=units, p=weights)[unit]
    x = rng.normal(size=units * rows)
    error = (rng.gamma(shape, size=units * rows) - shape) * np.sqrt(covariance / shape)
    intercept, slope = (np.asarray(coefficients[name])[classes] for name in ("Intercept", "x"))
    return pd.DataFrame({"id": unit, "x": x, "y": intercept + slope * x + error, "class": classes})


def without_classes(rng: np.random.Generator, **given: Any) -> pd.DataFrame:
    return skewed(rng, **given).drop(columns="class")


def with_wandering_units(rng: np.random.Generator, **given: Any) -> pd.DataFrame:
    frame = skewed(rng, **given)
    return frame.assign(**{"class": np.where(frame.index == 0, 1, 0)})


def with_a_third_class(rng: np.random.Generator, **given: Any) -> pd.DataFrame:
    return skewed(rng, **given).replace({"class": {1: 2}})


def study(function: str = "skewed", **simulate: Any) -> Study:
    return build_study(
        {
            "study": {"name": "own"},
            "model": {"formula": "y ~ x", "unit": "id", "n_components": 2},
            "simulate": {
                "generator": f"{HERE}:{function}",
                "weights": [0.7, 0.3],
                "coefficients": {"Intercept": [0.0, 4.0], "x": [1.0, -1.0]},
                "covariance": 0.25,
                **simulate,
            },
            "methods": {"em": {"backend": "em", "starts": 5}},
            "run": {"replicates": 2, "seed": 3},
        }
    )


def made(study: Study, seed: int = 1) -> DataSet:
    (scenario,) = study.scenarios

    def read() -> pd.DataFrame:
        raise AssertionError("there is no real table")

    return generate(scenario, read, np.random.SeedSequence(seed))


def test_a_mechanism_makes_data_whose_truth_is_stated() -> None:
    own = study(arguments={"units": 200, "rows": 50, "shape": 1.0})
    data = made(own)
    assert data.truth is not None
    assert data.classes is not None
    assert len(data.frame) == 200 * 50
    panel = data.panel(own.spec)
    k = data.classes.argmax(axis=1)[panel.unit]
    error = panel.outcomes[:, 0] - np.einsum(
        "np,np->n", panel.covariates, data.truth.coefficients[k, :, 0]
    )
    assert error.mean() == pytest.approx(0, abs=4 * 0.5 / 100)
    assert error.var() == pytest.approx(0.25, rel=0.1)
    skewness = (error**3).mean() / error.var() ** 1.5
    assert skewness == pytest.approx(2, rel=0.2)  # of an exponential distribution
    assert (made(own).frame == data.frame).all(axis=None)
    assert not made(own, seed=2).frame.equals(data.frame)
    said = "with units = 200, rows = 50, shape = 1.0."
    assert f"Data: made by the function '{HERE}:skewed' {said}" in wording.mechanism(own)


def test_it_runs_like_any_other(tmp_path: Any) -> None:
    finished = run_study(study(), tmp_path, workers=0, report=False)
    assert finished.counts is not None
    assert finished.counts["converged"].tolist() == [2]


def test_changed_source_is_refused_and_its_file_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a_mechanism.py"
    file.write_text("from tests.study.test_custom import skewed\n\ndef own(*a, **k):\n"
                    "    return skewed(*a, **k)\n")  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    own = study(generator="a_mechanism:own")
    run_study(own, tmp_path / "out", workers=0, report=False)
    run_study(own, tmp_path / "out", workers=0, report=False)
    file.write_text(file.read_text() + "# Another.\n")
    named = r"changed since are the source of 'a_mechanism:own' \(a_mechanism\.py\)\. Keep"
    with pytest.raises(OptionError, match=named):
        run_study(own, tmp_path / "out", workers=0, report=False)
    run_study(own, tmp_path / "out", workers=0, report=False, on_change="keep")


def test_source_is_where_the_function_is_defined() -> None:
    name, digest = source_of(f"{HERE}:skewed")
    assert name == "test_custom.py"
    assert digest == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    # Defined in another module than the one that it is taken from; not written in Python.
    assert source_of("mixcompare:fit") == source_of("mixcompare.backends:fit")
    assert source_of("mixcompare:fit") != source_of("mixcompare:load")
    assert source_of("numpy:add")[0] == "__init__.py"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("without_classes", "no column 'class'"),
        ("with_wandering_units", "two classes in unit 0"),
        ("with_a_third_class", "classes from 0 to 1, not 2"),
        ("absent", f"'{HERE}:absent' cannot be used"),
    ],
)
def test_what_it_must_give(function: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        made(study(function))


@pytest.mark.parametrize(
    ("simulate", "said"),
    [
        ({"units": 5}, "units cannot be given beside it"),
        ({"generator": "no function"}, "must be 'package.module:function'"),
        ({"generator": None, "arguments": {"a": 1}}, "belong to a generator"),
        ({"weights": None}, "the true parameters"),
    ],
)
def test_what_a_study_may_say(simulate: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        study(**simulate)
