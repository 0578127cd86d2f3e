"""Study files: what is accepted, and what an error says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixcompare import DataError, MixtureSpec, OptionError
from mixcompare.study.file.load import build_study, load_study
from mixcompare.study.run.plan import check_mechanisms, make_plan
from mixcompare.study.run.pools import Here
from mixcompare.study.run.run_study import make_job
from tests.places import ROOT
from tests.study_cases import content, toml

REPOSITORY = ROOT

type WriteStudy = Callable[..., Path]


def test_tables_become_spec_data_and_methods(write_study: WriteStudy) -> None:
    study = load_study(write_study())
    assert study.spec == MixtureSpec("y ~ x", unit="unit", n_components=2)
    assert study.read_data().shape == (120, 3)
    assert study.methods["em"].options == {"starts": 5}
    assert study.output == Path("reports/tiny")
    assert study.tables.run.seed == 0


def test_every_optional_table_is_read(write_study: WriteStudy) -> None:
    extra = (
        '[aims]\ntext = "why"\n[run]\nseed = 7\n[report]\noutput = "elsewhere"\n'
        "[model.priors]\nconcentration = 3\n[model.priors.coefficient_sd]\nx = 1.5\n[methods.em]"
    )
    study = load_study(write_study(("[methods.em]", extra)))
    assert study.tables.aims.text == "why"
    assert study.tables.run.seed == 7
    assert study.output == Path("elsewhere")
    assert study.spec.priors.concentration == 3
    assert study.spec.priors.coefficient_sd == (("x", 1.5),)


@pytest.mark.parametrize(
    "name", ["gapminder", "munnell", "textbook_mixture", "full_covariance", "galaxy"]
)
def test_shipped_studies_are_valid_and_fit_their_data(name: str) -> None:
    study = load_study(REPOSITORY / "studies" / f"{name}.toml")
    assert study.tables.study.name == name
    assert {m.backend for m in study.tables.methods.values()} == {"em", "pymc"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("unit =", "unti =", r"\[model\] .*'unti' \(did you mean 'unit'\?\); allowed: .*absorb"),
        ("[data]", "[dta]", r"unknown table 'dta' \(did you mean 'data'\?\); allowed: study, aims"),
        ("starts", "strats", r"\[methods.em\] .*'strats' .*'starts'.*allowed: backend, .*starts"),
        ("draws", "drws", r"\[methods.pymc\] .*'drws' .*'draws'.*allowed: backend, .*draws"),
        ("starts = 5", "starts = -5", r"\[methods.em\] starts .*-5"),
        ("starts = 5", "starts = true", r"\[methods.em\] starts .*True"),
        ("draws = 300", "draws = 0", r"\[methods.pymc\] .*draws.*0"),
        ('"em"', '"emm"', r"\[methods.em\] backend: .*'emm'; there are: em, pymc"),
        ('backend = "em"', "", r"\[methods.em\] backend is missing"),
        ("[methods.em]", '[methods."E M"]', r"\[methods.E M\]: must be lower-case"),
        ("n_components = 2", "", r"\[model\] n_components is missing"),
        ("n_components = 2", "n_components = 0", r"\[model\] n_components .*at least 1, not 0"),
        ("n_components = 2", 'n_components = "2"', r"\[model\] n_components = '2': .*whole"),
        ('"y ~ x"', '"y ~ ("', r"\[model\] formula 'y ~ \('"),
        ('unit = "unit"', "unit = 3", r"\[model\] unit = 3: must be text"),
        ('file = "tiny.csv"', "", r"\[data\]: must name exactly one source: panel"),
        ("file =", 'panel = "gapminder"\nfile =', r"\[data\]: must name exactly one"),
        ('file = "tiny.csv"', 'panel = "gapmindr"', r"'gapmindr': .*munnell.*'gapminder'"),
        ("[data]", '[data]\nmissing = "drp"', r"\[data\] missing = 'drp': .*'error' or 'drop'"),
        ('"tiny"', '"Ti/ny"', r"\[study\] name = 'Ti/ny': must be lower-case"),
        ("[data]", "[run]\nseed = -1\n[data]", r"\[run\] seed = -1"),
        ("[study]", "[[study]]", r"\[study\]: must be a table"),
        ("[methods.em]", "[model.priors]\nsd = 1\n[methods.em]", r"\[model.priors\] .*'sd'.*conc"),
        ('unit = "unit"', "unit = ", r"not valid TOML: .*line 9"),
    ],
)
def test_error_names_file_key_value_and_what_is_allowed(
    write_study: WriteStudy, old: str, new: str, expected: str
) -> None:
    path = write_study((old, new))
    with pytest.raises(OptionError, match=expected) as caught:
        load_study(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"simulate__unts": 3}, r"line \d+: \[simulate\] has an unknown key 'unts' \(did you mean"),
        ({"simulate__weights": [0.6, 0.6]},
         r"line \d+: \[simulate\] weights = \[0\.6, 0\.6\]: .*not to 1\.2"),
        ({"simulate__periods": [6, 3]},
         r"\[simulate\] periods = \[6, 3\]: must be a whole number of rows"),
        ({"simulate__errors": "cauchy"}, r"errors = 'cauchy': must be 'normal' or 't'"),
        ({"simulate__covariates": {"x": {"distribution": "normal", "sd": -1.0}}},
         r"\[simulate\.covariates\.x\] sd = -1\.0: must be greater than 0"),
        ({"simulate__covariates": {"x": {"distribution": "normal", "std": 1.0}}},
         r"\[simulate\.covariates\.x\] has an unknown key 'std'.*allowed: distribution, mean, sd"),
        ({"simulate__design": "given"}, r"needs a table \[data\]"),
        ({"simulate__truth": "fit"}, r"\[simulate\]: truth = 'fit' takes"),
        ({"simulate__membership": {"Intercept": [0.0, 1.0]}}, "weights and membership exclude"),
        ({"grid__crossed": {"run.seed": [1, 2]}},
         r"line \d+: .*factor 'run\.seed'; allowed are keys of"),
        ({"grid__crossed": {"simulate.units": [10, -1]}}, r"units=-1: .*\[simulate\] units = -1"),
        ({"grid__crossed": {"simulate.units": [10, 10]}},
         r"line \d+: .*has 'units=10' more than once"),
        ({"methods__one": {"backend": "em", "bootstrap": {"replicates": 1}}},
         r"\[methods\.one\.bootstrap\] replicates = 1: must be greater than or equal to 2"),
        ({"methods__one": {"backend": "pymc", "bootstrap": {"replicates": 10}}},
         r"\[methods\.one\] bootstrap needs backend = 'em', not 'pymc'"),
        ({"methods__one": {"backend": "em", "n_components": 0}}, r"\[methods\.one\] n_components"),
        ({"report__baseline": "nobody"}, r"baseline = 'nobody': must be one of one, five"),
        ({"run__seconds_per_fit": 0.0}, r"seconds_per_fit = 0\.0: must be greater than 0"),
    ],
)  # fmt: skip
def test_error_in_a_simulation_names_line_key_value_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(toml(content(**changes)))
    with pytest.raises(OptionError, match=expected) as caught:
        load_study(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_line_of_an_error_is_that_of_its_key(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(toml(content(simulate__weights=[0.5, 0.6])))
    with pytest.raises(OptionError) as caught:
        load_study(path)
    found = re.search(r"line (\d+): \[simulate\] weights", str(caught.value))
    assert found is not None
    assert path.read_text().splitlines()[int(found[1]) - 1].startswith("weights =")


def test_grid_is_crossed_and_listed() -> None:
    grid = {
        "crossed": {"simulate.units": [20, 40], "model.n_components": [1, 2]},
        "listed": [{"simulate.errors": "t"}, {"simulate.missing_rows": 0.1}],
    }
    study = build_study(content(grid=grid))
    assert [s.label for s in study.scenarios][:3] == [
        "errors=t, units=20, n_components=1",
        "errors=t, units=20, n_components=2",
        "errors=t, units=40, n_components=1",
    ]
    assert len(study.scenarios) == 8
    last = study.scenarios[-1]
    assert last.tables.simulate is not None
    assert (last.tables.simulate.units, last.tables.simulate.missing_rows) == (40, 0.1)
    assert last.spec.n_components == 2


def test_a_listed_combination_may_have_a_label_in_place_of_its_levels() -> None:
    listed = [
        {"label": "two", "model.n_components": 2, "simulate.weights": [0.5, 0.5]},
        {"label": "even", "model.n_components": 2, "simulate.weights": [0.6, 0.4]},
    ]
    study = build_study(content(grid={"crossed": {"simulate.units": [20]}, "listed": listed}))
    assert [s.label for s in study.scenarios] == ["two, units=20", "even, units=20"]
    assert study.scenarios[0].factors == {"n_components": 2, "weights": [0.5, 0.5], "units": 20}
    listed[1]["label"] = "two"
    with pytest.raises(OptionError, match="'two, units=20' more than once"):
        build_study(content(grid={"crossed": {"simulate.units": [20]}, "listed": listed}))
    listed[1]["label"] = 2
    with pytest.raises(OptionError, match=r"label = 2: must be a text"):
        build_study(content(grid={"listed": listed}))


def test_a_level_can_take_absorption_away() -> None:
    tables = content(
        simulate__coefficients={"x": [1.0, -1.0]},
        model__formula="y ~ x - 1",
        grid={"crossed": {"model.absorb": [False, "unit"]}},
    )
    assert [s.spec.absorb for s in build_study(tables).scenarios] == [None, ("unit",)]


def test_a_quick_run_takes_scenarios_from_the_whole_grid() -> None:
    study = build_study(content(grid={"crossed": {"simulate.units": list(range(20, 45))}}))
    plan = make_plan(study, quick=True)
    units = [s.factors["units"] for s in plan.study.scenarios]
    assert units == [20, 23, 26, 29, 32, 35, 38, 41, 44]
    assert plan.n_fits == 9 * 2 * 2
    assert make_plan(study).n_fits == 25 * 2 * 3


@pytest.mark.parametrize(
    "name", ["separation", "fixed_effects", "standard_errors", "starts", "calibration"]
)
def test_shipped_simulation_studies_are_valid_and_make_their_data(name: str) -> None:
    study = load_study(REPOSITORY / "studies" / f"{name}.toml")
    plan = make_plan(study)
    check_mechanisms(plan, make_job(study, Path("nowhere"), Here()))
    assert plan.n_fits >= 200


def test_the_model_has_every_key_of_a_specification() -> None:
    [scenario] = build_study(
        content(model__time="visit", model__family="normal", grid={})
    ).scenarios
    assert scenario.spec.time == "visit"
    with pytest.raises(OptionError, match="no family 'poisson' is registered"):
        build_study(content(model__family="poisson"))


def test_loader_of_an_installed_package_is_called() -> None:
    tables = content(data={"loader": "mixcompare.datasets:_gapminder"})
    del tables["simulate"], tables["grid"]
    assert len(build_study(tables).read_data()) == 1704
    tables["data"] = {"loader": "mixcompare.datasets:nothing"}
    with pytest.raises(
        DataError, match=r"the function 'mixcompare\.datasets:nothing' cannot be used"
    ):
        build_study(tables).read_data()


def test_all_slips_are_named_at_once(write_study: WriteStudy) -> None:
    path = write_study(("unit =", "unti ="), ("n_components = 2", 'n_components = "2"'))
    with pytest.raises(OptionError, match=r"n_components = '2'.*'unti'"):
        load_study(path)


def test_unreadable_study_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name, reason in {"none.toml": "No such file", "binary.toml": "not UTF-8"}.items():
        with pytest.raises(OptionError, match=f"{name} cannot be read: .*{reason}"):
            load_study(tmp_path / name)


def test_unreadable_data_file_is_named(write_study: WriteStudy) -> None:
    study = load_study(write_study(("tiny.csv", "none.csv")))
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        study.read_data()
