"""The report: complete, self-contained, safe with odd names, and readable in a browser."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from matplotlib import pyplot

import mixcompare as mc
from mixcompare.base.files import staging
from mixcompare.pages import formatting, rendering
from mixcompare.pages.palette import class_color, style
from mixcompare.report import comparison_page, sections, write_comparison
from mixcompare.report.figures import parameters as plots_parameters
from mixcompare.report.figures.data import class_grids
from mixcompare.report.tables import verdicts
from mixcompare.reproduction.origin import Origin
from tests.report_page import LENIENT, Page, check, comparison_of, growth
from tests.stand_in_posterior import stand_in

SHOWN = {
    "agreement",
    "algorithms",
    "barg",
    "class-sizes",
    "convergence",
    "estimates",
    "grolts",
    "invariants",
    "left-out",
    "likelihoods",
    "meanings",
    "membership",
    "modes",
    "optima",
    "predictive-check",
    "prior-check",
    "priors",
    "sampler",
    "sensitivity",
    "statuses",
    "switching",
    "thresholds",
    "variables",
    "verdicts",
}
FIGURES = {
    "class-means",
    "class-paths",
    "co-clustering",
    "em-log-likelihood",
    "em-lower-bound",
    "em-weights",
    "forest",
    "optima-map",
    "permutations",
    "prior-data",
    "ranks",
    "replicated",
    "responsibilities",
    "traces",
}


@pytest.fixture(scope="module")
def comparison() -> mc.Comparison:
    spec = mc.MixtureSpec("y ~ t + I(t**2)", unit="unit", n_components=2)
    return comparison_of(spec, growth())


@pytest.fixture(scope="module")
def report(comparison: mc.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mc.write_report(comparison, tmp_path_factory.mktemp("report") / "new" / "folder")


@pytest.fixture(scope="module")
def figures(comparison: mc.Comparison) -> sections.Figures:
    return sections.drawings(comparison)


@pytest.fixture
def drawn_before(figures: sections.Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of `comparison` take figures that exist, for tests that look at other things."""
    monkeypatch.setattr(write_comparison, "drawings", lambda comparison: figures)


def test_files(report: Path) -> None:
    folder = report.parent
    assert report.name == "report.html"
    assert {p.name for p in folder.iterdir()} == {
        "report.html",
        "provenance.json",
        "tables",
        "figures",
    }

    def stems(kind: str, suffix: str) -> set[str]:
        return {p.stem for p in (folder / kind).glob(f"*.{suffix}")}

    assert stems("tables", "csv") == SHOWN | {"fits", "runs", "side-by-side", "starts"}
    assert stems("tables", "md") == stems("tables", "tex") == SHOWN
    assert stems("figures", "svg") == stems("figures", "pdf") == FIGURES
    for path in (folder / "figures").glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF")


def test_page_stands_alone_and_escapes(report: Path) -> None:
    parsed = check(report)
    assert "<script>alert(1)</script>" in parsed.text
    assert "<script>alert" not in report.read_text("utf-8")
    order = [i for i in parsed.ids if i in parsed.sections]
    assert order == [
        "summary",
        "meanings",
        "model",
        "classes",
        "estimates",
        "likelihoods",
        "prior",
        "fit",
        "membership",
        "switching",
        "modes",
        "sampler",
        "optima",
        "checklists",
        "reproduction",
    ]
    contents = [link[1:] for link in parsed.links if link[1:] in parsed.sections]
    assert contents[1 : len(order) + 1] == order  # after the link that skips to the summary
    assert parsed.tags.count("figure") == len(FIGURES)


@pytest.mark.usefixtures("drawn_before")
def test_more_than_two_fits(comparison: mc.Comparison, tmp_path: Path) -> None:
    em, spec = comparison.em, comparison.em.spec
    mode = mc.fit(spec, growth(), backend="em", estimator="map", starts=2, seed=1, progress=False)
    other = stand_in(em, draws=60, chains=2, seed=5)
    four = mc.compare(em, comparison.posterior_fit, mode, other, thresholds=LENIENT)
    assert {"posterior mode", "other posteriors"} <= set(four.verdicts["section"])
    for section in four.verdicts["section"]:
        assert sections.place_of_verdict(section) is not None, section
    parsed = check(mc.write_report(four, tmp_path))
    assert {"table-fits", "table-side-by-side"} <= set(parsed.ids)
    record = json.loads((tmp_path / "provenance.json").read_text("utf-8"))
    assert [fit["backend"] for fit in record["fits"].values()] == ["em", "pymc", "em", "pymc"]
    assert "comparison = mc.compare(em, pymc, fit_3, fit_4)" in parsed.text


def test_draws_that_tell_nothing_have_no_figures_and_the_remedy_is_shown(
    comparison: mc.Comparison, tmp_path: Path
) -> None:
    strict = mc.compare(comparison.em, comparison.posterior_fit, climbs=4)
    [remedy] = strict.remedies
    place = Origin(file="my growth.csv")
    path = mc.write_report(strict, tmp_path, origin=place)
    parsed, page = check(path), path.read_text("utf-8")
    of_draws = {"algorithms", "left-out", "predictive-check", "sensitivity"}
    written = {p.stem for p in (tmp_path / "tables").iterdir()}
    assert not of_draws & written
    assert not {f"table-{name}" for name in of_draws} & set(parsed.ids)
    assert "figure-replicated" not in parsed.ids
    assert page.count('class="badge neutral"') == 3
    for text in (*strict.conclusion.split(". "), remedy.python, remedy.command_on("my growth.csv")):
        assert text in parsed.text
    said = "Not judged, since the draws cannot be relied on (not converged)."
    assert parsed.text.count(said) > 5
    assert "effective parameters" not in parsed.text
    assert strict.likelihoods["value"].isna().sum() == 3  # of cross-validation


@pytest.mark.parametrize("study", ["", '[study]\nname = "growth"'])
def test_words_and_reasons_that_occur_are_explained(comparison: mc.Comparison, study: str) -> None:
    strict = mc.compare(comparison.em, comparison.posterior_fit, climbs=4)
    shown = verdicts.meanings(strict)
    words = {*strict.verdicts["verdict"], *strict.verdicts["reason"]} - {""}
    assert {row[0] for row in shown.rows} == words
    assert sum(row[3].count("model fit") for row in shown.rows) == 2  # its word and its reason
    [remedy] = strict.remedies
    record = {"study": study, "data": {"file": None}}
    typed = comparison_page._remedy(remedy, record)["prompt"]
    assert Markup(typed).striptags() == " ".join((remedy.toml if study else remedy.command).split())


def test_tables_are_the_comparisons(comparison: mc.Comparison, report: Path) -> None:
    read = pd.read_csv(report.parent / "tables" / "estimates.csv", index_col=0)
    pd.testing.assert_frame_equal(read, comparison.estimates)
    starts = pd.read_csv(report.parent / "tables" / "starts.csv", index_col=0)
    assert len(starts) == 4
    assert starts["log_likelihood"].max() == pytest.approx(comparison.em.log_likelihood)


def test_provenance(comparison: mc.Comparison, report: Path) -> None:
    record = json.loads((report.parent / "provenance.json").read_text("utf-8"))
    assert mc.MixtureSpec.from_dict(record["specification"]) == comparison.em.spec
    assert record["specification_sha256"] == comparison.em.spec.content_hash
    assert record["data"]["fingerprint_sha256"] == comparison.em.fingerprint
    assert record["data"]["rows"] == 120
    assert set(record["fits"]) == {"em", "pymc"}
    assert record["fits"]["em"]["seed"] == 1
    assert record["fits"]["pymc"]["versions"]["pymc"]


def test_no_figure_stays_open_and_settings_are_kept(comparison: mc.Comparison) -> None:
    before = dict(pyplot.rcParams)
    sections.drawings(comparison)
    assert pyplot.get_fignums() == []
    assert dict(pyplot.rcParams) == before


CASES: dict[str, Callable[[], tuple[mc.MixtureSpec, pd.DataFrame]]] = {
    "one class": lambda: (mc.MixtureSpec("y ~ t", unit="unit", n_components=1), growth()),
    "several outcomes, shared covariance": lambda: (
        mc.MixtureSpec("y + w ~ t", unit="unit", n_components=2, covariance_by="shared"),
        growth(),
    ),
    "several variables": lambda: (
        mc.MixtureSpec("y ~ t + x + `a & <b>`", unit="unit", n_components=2),
        growth(),
    ),
    "absorbed": lambda: (
        mc.MixtureSpec("y ~ t + x", unit="unit", absorb="unit", n_components=2),
        growth(),
    ),
    "absorbed, one variable": lambda: (
        mc.MixtureSpec("y ~ t", unit="unit", absorb="unit", n_components=2),
        growth(),
    ),
    "mixture, three outcomes": lambda: (
        mc.MixtureSpec("y + w + x ~ 1", n_components=2, covariance="spherical"),
        growth(),
    ),
    "mixture, two outcomes": lambda: (
        mc.MixtureSpec("y + w ~ 1", n_components=2, covariance="diagonal"),
        growth(),
    ),
    "mixture, one outcome": lambda: (mc.MixtureSpec("y ~ 1", n_components=3), growth()),
    "regressions of single rows": lambda: (mc.MixtureSpec("y ~ t", n_components=2), growth()),
    "common, membership, weights": lambda: (
        mc.MixtureSpec(
            "y ~ t + x",
            unit="unit",
            common="~ x",
            membership="~ age",
            unit_weights="count",
            n_components=2,
        ),
        growth(),
    ),
    "many units": lambda: (
        mc.MixtureSpec("w ~ t", unit="unit", n_components=2),
        growth(units=1500, rows=2),
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_every_kind_of_model(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_pdf", lambda figure: b"")  # another test writes them
    draws = 15 if case == "many units" else 30
    report = mc.write_report(comparison_of(*CASES[case](), draws=draws), tmp_path)
    parsed = check(report)
    if case == "many units":
        assert "300 of 1,500 units are shown" in parsed.text
        assert "The 20 units that differ most, of 1,500" in parsed.text
    if case.startswith("absorbed"):
        assert "less its cell's mean" in " ".join(parsed.text.split())
    if case == "common, membership, weights":
        words = " ".join(parsed.text.split())
        assert "Coefficients of x are common to all classes" in words
        assert "depends on the unit covariates of ~ age" in words
        assert "Each unit counts by its weight count, 0.5 to 2" in words
        assert "common='~ x', membership='~ age', unit_weights='count'" in words
    if case == "several variables":
        assert "a & <b>" in parsed.text


def test_withheld_standard_errors(comparison: mc.Comparison, tmp_path: Path) -> None:
    tree = comparison.em.tree.copy(deep=True)
    errors = tree["standard_errors"].to_dataset() * np.nan
    errors.attrs["reason"] = "the information matrix is singular"
    tree["standard_errors"].dataset = errors
    withheld = mc.compare(mc.Fit(tree), comparison.posterior_fit)
    parsed = check(mc.write_report(withheld, tmp_path))
    assert "withheld: the information matrix is singular" in parsed.text


@pytest.mark.usefixtures("drawn_before")
def test_a_draw_that_beats_em_is_shown(comparison: mc.Comparison, tmp_path: Path) -> None:
    beaten = dataclasses.replace(comparison, restart=comparison.em)
    record = json.loads(
        (mc.write_report(beaten, tmp_path).parent / "provenance.json").read_text("utf-8")
    )
    assert record["restart"]["status"] == "converged"


@pytest.mark.usefixtures("drawn_before")
def test_saved_fits_are_named(comparison: mc.Comparison, tmp_path: Path) -> None:
    comparison.em.save(tmp_path / "my_em.nc")
    comparison.posterior_fit.save(tmp_path / "nuts.nc")
    (tmp_path / "a.nc").write_text("not a fit")
    text = Page(mc.write_report(comparison, tmp_path).read_text("utf-8")).text
    assert 'mc.compare(mc.load("my_em.nc"), mc.load("nuts.nc"))' in text


def test_code_of_the_report_builds_the_spec(comparison: mc.Comparison, report: Path) -> None:
    text = Page(report.read_text("utf-8")).text
    line = next(line for line in text.splitlines() if line.startswith("spec = "))
    assert eval(line.removeprefix("spec = "), {"mc": mc}) == comparison.em.spec


@pytest.mark.usefixtures("drawn_before")
def test_choice_of_k(comparison: mc.Comparison, tmp_path: Path) -> None:
    spec, data = comparison.em.spec, growth()
    found = mc.select(spec, data, n_components=(1, 2), starts=3, replicates=2, progress=False)
    parsed = check(mc.write_report(comparison, tmp_path / "report", selection=found))
    assert {"selection", "table-selection-sizes", "figure-trajectories-by-k"} <= set(parsed.ids)
    assert "16, 8" in parsed.text
    assert (tmp_path / "report" / "figures" / "criteria-by-k.pdf").is_file()
    sizes = pd.read_csv(tmp_path / "report" / "tables" / "selection.csv")
    assert list(sizes["K"]) == [1, 2]
    assert "table-selection-posterior" not in parsed.ids
    sampled: dict[str, Any] = {
        "posterior_status": ["converged", "not converged"],
        "posterior_restarts": [0, 1],
        "posterior_unranked": ["", "R-hat is 1.7."],
        "elpd_loo": [-90.0, -70.0],
        "elpd_loo_se": [4.0, 5.0],
        "elpd_difference": [-20.0, 0.0],
        "elpd_difference_se": [6.0, 0.0],
        "high_pareto_k": [0, 3],
        "log_evidence_bridge": [-95.0, -80.0],
        "log_evidence_bridge_error": [0.01, 0.02],
        "log_evidence_smc": [-95.01, -70.0],
        "log_evidence_smc_error": [0.1, 0.2],
        "evidence_apart": [False, True],
    }
    more = replace(found, table=found.table.assign(**sampled))
    parsed = check(mc.write_report(comparison, tmp_path / "more", selection=more))
    assert "table-selection-posterior" in parsed.ids
    assert "PSIS-LOO: 1" in parsed.text
    assert "With 2 classes cross-validation and bridge sampling cannot be relied on" in parsed.text
    assert "standard errors of their difference with 2 classes" in parsed.text
    assert "contradict each other" in parsed.text
    other = mc.select(spec, data.assign(y=-data["y"]), n_components=[1], starts=1, progress=False)
    with pytest.raises(mc.DataError, match="other data"):
        mc.write_report(comparison, tmp_path / "none", selection=other)
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("drawn_before")
def test_title(comparison: mc.Comparison, tmp_path: Path) -> None:
    text = mc.write_report(comparison, tmp_path, title="A <b>title</b> & more").read_text("utf-8")
    assert "<title>A &lt;b&gt;title&lt;/b&gt; &amp; more</title>" in text


@pytest.mark.parametrize("inside", [False, True])
def test_folder_that_cannot_be_written(
    comparison: mc.Comparison, tmp_path: Path, inside: bool
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(mc.OptionError, match=r"cannot write .*file.* Choose another folder"):
        mc.write_report(comparison, file / "deeper" if inside else file)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("fails", ["render", "drawings", "to_json", "_publish"])
@pytest.mark.usefixtures("drawn_before")
def test_nothing_is_half_written(
    comparison: mc.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(staging if fails == "_publish" else write_comparison, fails, fail)
    with pytest.raises(RuntimeError, match="broken"):
        mc.write_report(comparison, tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("drawn_before")
def test_an_earlier_report_is_replaced_and_other_files_stay(
    comparison: mc.Comparison, tmp_path: Path
) -> None:
    mc.write_report(comparison, tmp_path, title="old")
    (tmp_path / "notes.txt").write_text("mine")
    mc.write_report(comparison, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "<h1>old</h1>" not in (tmp_path / "report.html").read_text("utf-8")
    assert not list(tmp_path.rglob(".mixcompare-*"))


OTHERS = ("report.html", "provenance.json", "tables/mine.csv", "figures/mine.pdf")


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.usefixtures("drawn_before")
def test_files_of_others_are_not_replaced(
    comparison: mc.Comparison, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(mc.OptionError, match=rf"{name} is there already.*overwrite=True"):
        mc.write_report(comparison, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    mc.write_report(comparison, tmp_path, overwrite=True)
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.mark.parametrize("change", ["data", "model", "earlier version"])
@pytest.mark.usefixtures("drawn_before")
def test_a_report_of_another_model_or_input_is_not_replaced(
    comparison: mc.Comparison, tmp_path: Path, change: str
) -> None:
    page = mc.write_report(comparison, tmp_path, origin=mc.Origin(file="a.csv", place="here"))
    before = page.read_bytes()
    other = {
        "data": ("here", "elsewhere", comparison.em.fingerprint, "0" * 64),
        "model": (comparison.em.spec.content_hash, "0" * 64, "", ""),
        "earlier version": ('<meta name="mixcompare-made-from"', "<meta", "", ""),
    }[change]
    text = before.decode()
    for old, new in (other[:2], other[2:]):
        text = text.replace(old, new) if old else text
    page.write_text(text, "utf-8")
    origin = mc.Origin(file="b.csv", place="here")
    if change == "earlier version":  # its record says what it is of
        mc.write_report(comparison, tmp_path, origin=origin)
        return
    with pytest.raises(mc.OptionError, match=r"holds another report: .* of a\.csv\. .*--force"):
        mc.write_report(comparison, tmp_path, origin=origin)
    assert page.read_text("utf-8") == text
    mc.write_report(comparison, tmp_path, origin=origin, overwrite=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.123456, "0.1235"),
        (9.99996, "10.00"),
        (-5065.4968, "\N{MINUS SIGN}5065"),
        (float("nan"), formatting.MISSING),
        (float("-inf"), "\N{MINUS SIGN}∞"),
        (1.23e-7, "1.230 \N{MULTIPLICATION SIGN} 10\N{SUPERSCRIPT MINUS}⁷"),
    ],
)
def test_significant_digits(value: float, text: str) -> None:
    assert formatting.significant(value) == text


def test_quantities_by_name() -> None:
    assert formatting.quantity("largest R-hat aligned", 1.00444) == "1.004"
    assert formatting.quantity("smallest bulk ESS", 1974.08) == "1,974"
    assert formatting.quantity("EM maximum", -5065.49681) == "\N{MINUS SIGN}5065.4968"
    assert formatting.quantity("free parameters", 14.0) == "14"


def test_classes_keep_distinct_colours() -> None:
    assert len({class_color(k) for k in range(1, 15)}) == 14


def test_large_drawings_become_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    monkeypatch.setattr(rendering, "_MAX_SVG", 10)
    with style():
        figure = Figure()
        figure.subplots().plot([0, 1])
        drawing = rendering.draw(figure, "name", "title", "caption", 'alt "text"')
    assert drawing.markup.startswith('<img alt="alt &quot;text&quot;" src="data:image/png;base64,')
    assert drawing.svg.startswith("<?xml")


def test_checks_have_their_sections(comparison: mc.Comparison, report: Path) -> None:
    parsed = Page(report.read_text("utf-8"))
    for sentence in (
        comparison.prior_check.sentence,
        comparison.predictive_check.sentence,
        comparison.loo.sentence,
    ):
        assert sentence in parsed.text
    places = {f"#{name}" for name in ("prior", "fit", "likelihoods")}
    assert places <= set(parsed.links)


def test_traces_are_of_a_label_that_was_exchanged() -> None:
    """Two of three labels are: the other's traces look as if nothing had happened."""
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=3)
    em = mc.fit(spec, growth(), backend="em", starts=4, seed=1, progress=False)
    parameters = em.parameters
    r_hat = [1.8 if p.component in (2, 3) else 1.0 for p in parameters]
    estimates = pd.DataFrame({"posterior_sd": 1.0, "r_hat_raw": r_hat})
    compared: Any = SimpleNamespace(em=em, estimates=estimates)
    chosen = plots_parameters._informative(compared)
    assert [p.name for p in chosen[:3]] == [
        "weights[2]",
        "coefficients[2, Intercept]",
        "coefficients[2, t]",
    ]
    estimates["r_hat_raw"] = np.nan
    assert plots_parameters._informative(compared)[0].name == "weights[1]"


def test_figures_say_in_words_what_was_found(comparison: mc.Comparison, report: Path) -> None:
    page = Page(report.read_text("utf-8"))
    said = comparison.verdicts.set_index("section")["statement"]
    for section in ("estimates", "EM optimum", "MCMC convergence", "class membership"):
        assert any(said[section] in alt for alt in page.alts), section


def test_a_curve_ends_where_its_class_has_no_rows() -> None:
    frame = growth()
    unit = frame["unit"].drop_duplicates()
    short = frame["unit"].isin(unit[::2]) & (frame["t"] > frame["t"].median())
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=2)
    panel = mc.build_panel(spec, frame[~short])
    names = panel.unit_labels.tolist()
    unit_class = np.array([int(name in set(unit[::2])) for name in names])
    whole, cut = class_grids(panel, "t", unit_class, 2)
    assert whole.x[-1] == frame["t"].max()
    assert cut.x[-1] == frame.loc[~short & frame["unit"].isin(unit[::2]), "t"].max()
    assert cut.covariates.shape == (len(cut.x), 2)
    np.testing.assert_array_equal(whole.x[: len(cut.x)], cut.x)
