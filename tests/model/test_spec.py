"""The specification: what it accepts, what it stores, how it counts."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcompare.base.errors import MixCompareError, SpecificationError
from mixcompare.model.classes import StaticClasses
from mixcompare.model.layout import Layout, Names
from mixcompare.model.responses import Response
from mixcompare.model.spec import MixtureSpec, Priors
from tests.places import REFERENCE

CASES = json.loads((REFERENCE / "cases.json").read_text())["cases"]
MCLUST: dict[str, dict[str, Any]] = {
    "VVV": {"covariance": "full", "covariance_by": "component"},
    "EEE": {"covariance": "full", "covariance_by": "shared"},
    "VVI": {"covariance": "diagonal", "covariance_by": "component"},
    "EEI": {"covariance": "diagonal", "covariance_by": "shared"},
    "VII": {"covariance": "spherical", "covariance_by": "component"},
    "EII": {"covariance": "spherical", "covariance_by": "shared"},
}
MCLUST_CASES = [case for case in CASES if case["spec"].get("covariance") in MCLUST]
WRITTEN = json.loads(Path(__file__).with_name("specifications.json").read_text())
REGRESSIONS = [c for c in CASES if c["spec"]["family"] == "gaussian" and c.get("df")]

positive = st.floats(1e-6, 1e6)
names = st.text(min_size=1, max_size=5)


def overrides(values: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    by_outcome = st.dictionaries(names, values, min_size=1, max_size=3)
    return st.none() | values | st.dictionaries(names, values | by_outcome, min_size=1, max_size=3)


priors = st.builds(
    Priors,
    concentration=positive,
    coefficient_mean=overrides(st.floats(-1e6, 1e6)),
    coefficient_sd=overrides(positive),
    covariance_df=st.none() | positive,
    covariance_scale=st.none() | positive | st.just([[2.0, 0.5], [0.5, 1.0]]),
)
specs = st.builds(
    MixtureSpec,
    st.sampled_from(["y ~ x", "y1 + y2 ~ 1", "log(y) ~ C(g) * bs(x, df=4)", "`a b` ~ 0 + I(x**2)"]),
    unit=st.just("u") | names,
    absorb=st.none() | st.sampled_from(["a", "a:b", ("a", "b")]),
    n_components=st.integers(1, 9),
    covariance=st.sampled_from(["full", "diagonal", "spherical"]),
    covariance_by=st.sampled_from(["component", "shared"]),
    priors=priors,
    time=st.none() | names,
    membership=st.none() | st.just("~ z"),
    common=st.none() | st.just("~ x"),
)
several = st.builds(
    lambda spec, further: replace(spec, responses=[*spec.responses, *further]),
    specs,
    st.lists(
        st.builds(
            Response,
            st.sampled_from(["z ~ x", "z1 + z2 ~ 1"]),
            covariance=st.sampled_from(["full", "diagonal", "spherical"]),
            covariance_by=st.sampled_from(["component", "shared"]),
            common=st.none() | st.just("~ x"),
        ),
        min_size=1,
        max_size=2,
    ),
)


@given(specs | several)
def test_round_trip_through_json(spec: MixtureSpec) -> None:
    again = MixtureSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert again.content_hash == spec.content_hash


@given(specs | several)
def test_what_is_shown_builds_an_equal_specification(spec: MixtureSpec) -> None:
    shown = {"MixtureSpec": MixtureSpec, "Response": Response, "StaticClasses": StaticClasses}
    assert eval(repr(spec), shown) == spec


@pytest.mark.parametrize("written", WRITTEN, ids=lambda written: written["content_hash"][:8])
def test_what_earlier_versions_wrote_is_read_and_written_as_it_was(written: Any) -> None:
    spec = MixtureSpec(written["formula"], **written["arguments"])
    assert json.dumps(spec.to_dict()) == json.dumps(written["dictionary"])
    assert spec.content_hash == written["content_hash"]
    assert MixtureSpec.from_dict(written["dictionary"]) == spec


def test_the_short_form_is_one_normal_response() -> None:
    short = MixtureSpec("y ~ x", unit="u", n_components=2, common="~ x", membership="~ z")
    long = MixtureSpec(
        [Response("y ~ x", common="~ x")],
        classes=StaticClasses("~ z"),
        unit="u",
        n_components=2,
    )
    assert short == long
    assert long.but(covariance="diagonal", membership=None) == MixtureSpec(
        "y ~ x", unit="u", n_components=2, common="~ x", covariance="diagonal"
    )
    assert short.but(formula="z ~ 1").formula == "z ~ 1"


def test_what_is_usual_may_be_said_or_not() -> None:
    plain = MixtureSpec("y ~ x", n_components=2)
    assert MixtureSpec("y ~ x", n_components=2, family="normal", link="identity") == plain
    assert MixtureSpec("y ~ x", n_components=2, membership="~ 1") == plain
    assert "time" not in plain.to_dict()
    assert MixtureSpec("y ~ x", n_components=2, time="year").to_dict()["time"] == "year"


@pytest.mark.parametrize(
    ("responses", "more", "message"),
    [
        ([], {}, "takes a formula"),
        (["y ~ x"], {}, "list of Response, not a str"),
        ([Response("y ~ x"), Response("z ~ x")], {"covariance": "full"}, "belong to one response"),
        ([Response("y ~ x"), Response("z ~")], {}, "names no covariate"),
        ([Response("y ~ x", common="x ~ z"), Response("z ~ x")], {}, "must have one side"),
        ("y ~ x", {"family": "poisson"}, "no family 'poisson' is registered; there are: normal"),
        ("y ~ x", {"link": "log"}, "link must be one of identity, not 'log'"),
        ("y ~ x", {"classes": "static"}, "classes must be a StaticClasses"),
        ("y ~ x", {"time": 3}, "time must be a column name"),
    ],
)
def test_responses_and_classes_that_are_refused(responses: Any, more: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        MixtureSpec(responses, n_components=2, **more)


@pytest.mark.parametrize("name", ["response", "formula", "covariance", "covariance_by", "common"])
def test_what_is_of_one_response_is_refused_of_several(name: str) -> None:
    spec = MixtureSpec([Response("y ~ x"), Response("z ~ x")], n_components=2)
    with pytest.raises(SpecificationError, match=r"has 2 responses\. Fit one specification"):
        getattr(spec, name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"responses": [{"formula": "y ~ x", "kind": 1}]}, "unknown response key 'kind'"),
        ({"responses": [{"family": "normal"}]}, "incomplete response"),
        ({"responses": "y"}, "takes a formula|cannot be parsed|one '~'"),
        ({"formula": "y ~ x", "classes": {"kind": "markov"}}, "kind of classes must be one of"),
        ({"formula": "y ~ x", "classes": {"size": 1}}, "unknown classes key 'size'"),
    ],
)
def test_dictionaries_that_are_refused(values: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        MixtureSpec.from_dict({"n_components": 2, **values})


@given(specs, specs)
def test_hashes_are_equal_exactly_for_equal_specs(one: MixtureSpec, other: MixtureSpec) -> None:
    assert (one.content_hash == other.content_hash) == (one == other)


def test_content_hash_is_the_same_in_other_processes() -> None:
    code = (
        "import mixcompare as mc; print(mc.MixtureSpec('y ~ x', unit='u', n_components=2, "
        "priors={'coefficient_sd': {'x': 1.0, 'Intercept': {'y': 2}}}).content_hash)"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "12345")
    }
    here = MixtureSpec(
        "y ~ x",
        unit="u",
        n_components=2,
        priors=Priors(coefficient_sd={"Intercept": {"y": 2}, "x": 1}),
    )
    assert hashes == {here.content_hash + "\n"}


def test_a_spec_is_frozen() -> None:
    spec = MixtureSpec("y ~ x", n_components=2)
    with pytest.raises(AttributeError):
        spec.n_components = 3  # type: ignore[misc]
    assert {spec: 1}[MixtureSpec("y ~ x", n_components=2)] == 1


def test_absorb_is_the_same_as_text_and_as_columns() -> None:
    text = MixtureSpec("y ~ x", unit="a", absorb="a : b", n_components=2)
    columns = MixtureSpec("y ~ x", unit="a", absorb=["a", "b"], n_components=2)
    assert text == columns
    assert text.absorb == ("a", "b")


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "non-empty string"),
        ("  ", "non-empty string"),
        (None, "non-empty string"),
        (3, "non-empty string"),
        ("y", "one '~'"),
        ("~ x", "one '~'"),
        ("y ~ x ~ z", "cannot be parsed"),
        ("y ~ x | z", "one '~'"),
        ("pain score ~ x", "cannot be parsed: .* between backticks"),
        ("y ~ (x", "cannot be parsed"),
        ("y ~ 'x", "cannot be parsed"),
        ("y ~ I(x +)", "cannot be parsed"),
        ("y ~ np.log(x z)", "cannot be parsed"),
        ("y ~ x + 1.5", "cannot be parsed"),
        ("y ~ .", "cannot be parsed"),
    ],
)
def test_formula_errors(formula: Any, reason: str) -> None:
    with pytest.raises(SpecificationError, match=reason):
        MixtureSpec(formula, n_components=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_components": 0}, "at least 1, not 0"),
        ({"n_components": -3}, "at least 1"),
        ({"n_components": 2.0}, "whole number"),
        ({"n_components": True}, "whole number"),
        ({"n_components": "2"}, "whole number"),
        ({"n_components": None}, "whole number"),
        ({"unit": ""}, "unit must be"),
        ({"unit": 3}, "unit must be"),
        ({"unit": ["a"]}, "unit must be"),
        ({"absorb": "a"}, "needs a unit"),
        ({"unit": "u", "absorb": ""}, "absorb must name"),
        ({"unit": "u", "absorb": []}, "absorb must name"),
        ({"unit": "u", "absorb": 5}, "absorb must name"),
        ({"unit": "u", "absorb": "a:"}, "absorb must name"),
        ({"unit": "u", "absorb": ["a", 1]}, "absorb must name"),
        ({"covariance": "round"}, "full, diagonal, spherical"),
        ({"covariance": None}, "full, diagonal, spherical"),
        ({"covariance_by": "class"}, "component, shared"),
        ({"priors": 3}, "priors must be"),
        ({"priors": {"sd": 3}}, "unknown priors key 'sd'.*coefficient_sd"),
        ({"priors": {"concentration": 0}}, "concentration must be a positive number"),
        ({"priors": {"concentration": float("nan")}}, "positive number, not nan"),
        ({"priors": {"concentration": float("inf")}}, "positive number"),
        ({"priors": {"concentration": "a"}}, "positive number, not 'a'"),
        ({"priors": {"coefficient_mean": "a"}}, "finite number"),
        ({"priors": {"coefficient_mean": {"x": {"y": None}}}}, "finite number"),
        ({"priors": {"coefficient_sd": {"x": -1}}}, r"coefficient_sd\['x'\] must be a positive"),
        ({"priors": {"coefficient_sd": {"x": {"y": 0}}}}, "positive"),
        ({"priors": {"covariance_df": 0}}, "positive"),
        ({"priors": {"covariance_scale": -1}}, "positive"),
        ({"priors": {"covariance_scale": [[1, 2], [2, 1]]}}, "positive definite"),
        ({"priors": {"covariance_scale": [[1, 2], [0, 9]]}}, "symmetric"),
        ({"priors": {"covariance_scale": [[1, 2]]}}, "symmetric"),
        ({"priors": {"covariance_scale": []}}, "symmetric"),
        ({"priors": {"covariance_scale": [1, 2]}}, "covariance_scale"),
        ({"priors": {"covariance_scale": "ab"}}, "covariance_scale"),
        ({"priors": {"coefficient_mean": ["x"]}}, "coefficient_mean"),
        ({"priors": {"coefficient_sd": [1.0, 2.0]}}, "coefficient_sd"),
    ],
)
def test_bad_values_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message) as caught:
        MixtureSpec("y ~ x", **{"n_components": 2, **change})
    assert isinstance(caught.value, MixCompareError)
    assert isinstance(caught.value, ValueError)


def test_unknown_and_absent_keys_are_named() -> None:
    with pytest.raises(SpecificationError, match=r"unknown specification key 'K'.*n_components"):
        MixtureSpec.from_dict({"formula": "y ~ x", "K": 2})
    with pytest.raises(SpecificationError, match="n_components"):
        MixtureSpec.from_dict({"formula": "y ~ x"})


def test_there_are_cases_for_every_covariance_structure() -> None:
    assert {case["spec"]["covariance"] for case in MCLUST_CASES} == set(MCLUST)


@pytest.mark.parametrize("case", MCLUST_CASES, ids=lambda case: str(case["id"]))
def test_parameter_count_equals_mclust(case: dict[str, Any]) -> None:
    columns = case["spec"]["columns"]
    letters = case["spec"]["covariance"]
    spec = MixtureSpec(f"{' + '.join(columns)} ~ 1", n_components=case["K"], **MCLUST[letters])
    assert Layout.of(spec, Names(("Intercept",), tuple(columns))).n_free == case["df"]


@pytest.mark.parametrize("case", REGRESSIONS, ids=lambda case: str(case["id"]))
def test_parameter_count_equals_flexmix_and_mixtools(case: dict[str, Any]) -> None:
    x = case["spec"]["x"]
    slopes = 1 if isinstance(x, str) else len(x)
    spec = MixtureSpec("y ~ x", n_components=case["K"])
    covariates = tuple(f"x{i}" for i in range(slopes + case["spec"]["intercept"]))
    assert Layout.of(spec, Names(covariates, ("y",))).n_free == case["df"]
