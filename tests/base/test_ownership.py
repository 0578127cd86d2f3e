"""Results of another input or model are not replaced unasked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.auditing import audit
from mixcompare.base.files.ownership import Owner, page_owner, place_of, read_owner
from mixcompare.cli.app import app
from mixcompare.data.tables import table_name
from mixcompare.report.write_comparison import write_comparison
from mixcompare.selection.selection import load_selection
from mixcompare.study.file.methods import Method
from mixcompare.study.run import pair
from mixcompare.study.run import run_study as run
from tests.report_page import growth

SPEC = mc.MixtureSpec("y ~ t", unit="unit", n_components=2)
MODEL = ["--formula", "y ~ t", "--unit", "unit"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.v1.csv", "a.v1"),
        ("a.v2.csv.gz", "a.v2"),
        ("2020.01.TSV", "2020.01"),
        ("a.parquet", "a"),
        (".csv", ".csv"),
        ("..csv", "..csv"),
        ("a.b.c", "a.b.c"),
    ],
)
def test_names_keep_all_but_the_suffix(name: str, expected: str) -> None:
    assert table_name(Path("somewhere", name)) == expected


def test_owners() -> None:
    own = Owner("report", "m", ("a", "b"), 'words <&">')
    assert read_owner(own.to_json()) == own
    assert own.renews(Owner("report", "m", ("b", "c"), ""))
    for other in (Owner("audit", "m", ("a",), ""), Owner("report", "n", ("a",), "")):
        assert not own.renews(other)
    assert not own.renews(Owner("report", "m", ("c",), ""))
    assert read_owner("[]") is read_owner("{}") is read_owner("{") is None


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of("a.csv") == place_of(tmp_path / "b" / ".." / "a.csv")
    assert place_of("a.csv") != place_of("b/a.csv")


class Fake:
    """A comparison whose report is a page that says what it is of."""

    verdicts = pd.DataFrame({"section": [], "verdict": [], "statement": []})
    conclusion = ""
    remedies = ()

    def __init__(self, em: mc.Fit) -> None:
        self.em = em


def write_fake(comparison: Fake, folder: Path, **told: Any) -> Path:
    from mixcompare.pages.shell import environment
    from mixcompare.report.folder import owner_of

    owner = owner_of(comparison.em.spec, comparison.em.fingerprint, told["origin"])
    template = '<meta name="mixcompare-made-from" content="{{ owner }}">'
    text = environment().from_string(template).render(owner=owner.to_json())
    (folder / "report.html").write_text(text)
    return folder / "report.html"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """``mixcompare compare``, in a folder of its own, with EM alone."""
    monkeypatch.setattr(pair, "compare", lambda em, _: Fake(em))
    monkeypatch.setattr(pair, "write_comparison", write_fake)
    plain = mc.fit
    monkeypatch.setattr(pair, "fit", lambda *a, **o: plain(*a, backend="em", starts=1, seed=1))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["compare", *arguments, *MODEL])

    return call


def test_compare_keeps_reports_apart(compare: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("a.v1.csv", "a.v2.csv"):
        growth(seed=len(list(tmp_path.iterdir()))).to_csv(tmp_path / name, index=False)
        assert compare(name, "--components", "2").exit_code == 0
    pages = {name: tmp_path / "reports" / name / "report.html" for name in ("a.v1", "a.v2")}
    texts = {name: page.read_text() for name, page in pages.items()}
    assert "a.v1.csv" in texts["a.v1"]
    assert "a.v2.csv" in texts["a.v2"]
    # The same file, changed, is the same input; a copy elsewhere is the same data.
    growth(seed=9).to_csv("a.v1.csv", index=False)
    assert compare("a.v1.csv", "--components", "2").exit_code == 0
    Path("copies").mkdir()
    shutil.copy("a.v1.csv", "copies/a.v1.csv")
    assert compare("copies/a.v1.csv", "--components", "2").exit_code == 0
    Path("others").mkdir()
    growth(seed=8).to_csv("others/a.v1.csv", index=False)
    before = pages["a.v1"].read_text()
    for arguments in (
        ("others/a.v1.csv", "--components", "2"),
        ("a.v1.csv", "--components", "3"),
        ("a.v2.csv", "--components", "2", "-o", "reports/a.v1"),
    ):
        refused = compare(*arguments)
        assert isinstance(refused.exception, mc.OptionError)
        assert "reports/a.v1 holds another report: 'y ~ t' with 2 classes" in str(refused.exception)
        assert pages["a.v1"].read_text() == before
        assert mc.load("reports/a.v1/em.nc").spec == SPEC
    assert compare("a.v1.csv", "--components", "3", "--force").exit_code == 0
    assert mc.load("reports/a.v1/em.nc").spec.n_components == 3


def test_fits_of_others_are_not_replaced(compare: Callable[..., Any], tmp_path: Path) -> None:
    growth().to_csv("a.csv", index=False)
    em = mc.fit(mc.MixtureSpec("y ~ t", n_components=2), growth(), starts=1, seed=1)
    path = em.save(tmp_path / "out" / "em.nc")
    before = path.read_bytes()
    refused = compare("a.csv", "--components", "2", "-o", "out")
    assert "em.nc is there already" in str(refused.exception)
    assert path.read_bytes() == before
    assert compare("a.csv", "--components", "2", "-o", "out", "--force").exit_code == 0


def test_select(tmp_path: Path) -> None:
    panel = growth()
    found = {
        name: mc.select(spec, panel, n_components=[1, 2], starts=2, progress=False)
        for name, spec in (("a", SPEC), ("b", mc.MixtureSpec("y ~ 1", unit="unit", n_components=2)))
    }
    folder = found["a"].save(tmp_path / "out")
    assert found["a"].save(folder) == folder
    before = (folder / "em_2.nc").read_bytes()
    with pytest.raises(mc.OptionError, match="holds another selection: 'y ~ t'"):
        found["b"].save(folder)
    assert (folder / "em_2.nc").read_bytes() == before
    found["b"].save(folder, overwrite=True)
    assert load_selection(folder).fits[2].spec.formula == "y ~ 1"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tests.csv").write_text("mine")
    with pytest.raises(mc.OptionError, match=r"tests\.csv is there already"):
        found["a"].save(tmp_path / "mine")


def test_audit(tmp_path: Path) -> None:
    spec = mc.MixtureSpec("y ~ 1", n_components=1)
    rows = {"y": [float(i) for i in range(12)]}
    audits = []
    for mean in (5.5, 4.0):
        trace = {
            "weights": np.ones((2, 1)),
            "coefficients": np.full((2, 1, 1, 1), mean),
            "covariance": np.full((2, 1, 1, 1), 11.9),
        }
        audits.append(audit(spec, rows, trace))
    page = mc.write_report(audits[0], tmp_path)
    assert page_owner(page) is not None
    mc.write_report(audits[0], tmp_path)
    with pytest.raises(mc.OptionError, match="holds another audit: 2 iterates"):
        mc.write_report(audits[1], tmp_path)
    mc.write_report(audits[1], tmp_path, overwrite=True)


def test_predict(tmp_path: Path) -> None:
    em = mc.fit(SPEC, growth(), starts=2, seed=1, progress=False)
    fit = em.save(tmp_path / "em.nc")
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    growth(seed=3).to_csv(new, index=False)
    asked = ["predict", str(fit), str(new), "-o"]
    assert CliRunner().invoke(app, [*asked, str(out)]).exit_code == 0
    assert CliRunner().invoke(app, [*asked, str(out)]).exit_code == 0  # the same rows
    before = new.read_bytes()
    refused = CliRunner().invoke(app, [*asked, str(new)])
    assert isinstance(refused.exception, mc.OptionError)
    assert new.read_bytes() == before
    growth(units=12, seed=3).to_csv(new, index=False)
    refused = CliRunner().invoke(app, [*asked, str(out)])
    assert "out.csv is there already" in str(refused.exception)
    assert CliRunner().invoke(app, [*asked, str(out), "--force"]).exit_code == 0
    assert len(pd.read_csv(out)) == 60


def test_a_study_does_not_take_a_reports_folder(tmp_path: Path) -> None:
    owner = Owner("report", "m", ("a",), "'y ~ x' with 2 classes, of a.csv")
    text = owner.to_json().replace('"', "&quot;")
    (tmp_path / "report.html").write_text(f'<meta name="mixcompare-made-from" content="{text}">')
    study = mc.build_study(
        {
            "study": {"name": "small"},
            "model": {"formula": "y ~ 1", "n_components": 1},
            "simulate": {
                "units": 20,
                "weights": [1.0],
                "covariance": 1.0,
                "coefficients": {"Intercept": [0.0]},
            },
            "methods": {"em": {"backend": "em", "starts": 1}},
            "run": {"replicates": 1, "workers": 0},
        }
    )
    with pytest.raises(mc.OptionError, match="holds another report: 'y ~ x'"):
        run.run_study(study, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_report_is_a_folder(tmp_path: Path) -> None:
    em = mc.fit(SPEC, growth(), starts=1, seed=1, progress=False)
    found = mc.select(SPEC, growth(), n_components=[1], starts=1, progress=False)
    with pytest.raises(mc.OptionError, match=r"x\.html: its name is that of a file"):
        write_comparison(Fake(em), tmp_path / "x.html")  # type: ignore[arg-type]
    with pytest.raises(mc.OptionError, match=r"x\.csv: its name is that of a file"):
        found.save(tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())


def test_pair_checks_before_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.html").write_text("mine")
    monkeypatch.setattr(pair, "fit", None)
    methods = {name: Method(name, {}) for name in ("em", "pymc")}
    with pytest.raises(mc.OptionError, match=r"report\.html is there already"):
        pair.fit_and_report(SPEC, growth(), methods, tmp_path)
