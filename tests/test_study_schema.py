"""Study files: what is accepted, and what an error says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mixcompare import DataError, MixtureSpec, OptionError
from mixcompare.study.run import run_study
from mixcompare.study.schema import load_study

REPOSITORY = Path(__file__).parent.parent

type WriteStudy = Callable[..., Path]


def test_tables_become_spec_data_and_methods(write_study: WriteStudy) -> None:
    study = load_study(write_study())
    assert study.spec == MixtureSpec("y ~ x", unit="unit", n_components=2)
    assert study.read_data().shape == (120, 3)
    assert study.tables.methods["em"].options == {"starts": 5}
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
        ('file = "tiny.csv"', 'panel = "gapmindr"', r"'gapmindr': .*munnell .*'gapminder'"),
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


def test_running_needs_one_method_of_each_backend(write_study: WriteStudy) -> None:
    path = write_study(("[methods.pymc]", '[methods.more]\nbackend = "em"\n[methods.pymc]'))
    with pytest.raises(OptionError, match=r"exactly one .*'em'.*'pymc'.*em \(em\), more \(em\)"):
        run_study(path)
