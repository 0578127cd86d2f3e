"""A report is made again from itself: the numbers agree, or it is said which do not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.base.arrays import FloatArray
from mixcompare.cli.app import app
from mixcompare.report import sections, write_comparison
from mixcompare.reproduction import refit as rerun
from mixcompare.reproduction.carried import (
    ELEMENT,
    REST,
    changed_parts,
    for_script,
    read_record,
)
from mixcompare.reproduction.numbers import (
    agreement,
    from_records,
    numbers,
    recorded_fits,
    to_records,
)
from mixcompare.reproduction.selected import SOURCE, choice_numbers, elpd_error
from mixcompare.selection import standing
from tests.report_page import growth
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y ~ t", unit="unit", n_components=2, priors=mc.Priors(concentration=3.0))
STUDY = """title = "</script><script>alert(1)</script> & <!-- \u2028"
[aims]
text = "Do they agree?\\n\\nIf not, why?"
"""


def panel() -> pd.DataFrame:
    frame = growth()
    frame.loc[3, "y"] = np.nan
    return frame


def made_up(em: mc.Fit, seed: int, offset: FloatArray | None = None) -> mc.Fit:
    return stand_in(em, draws=100, chains=2, seed=seed, offset=offset)


def compared() -> mc.Comparison:
    em, other = (fitted(seed=seed) for seed in (1, 7))
    return mc.compare(em, made_up(em, 2), other, made_up(em, 3))


def fitted(**changes: Any) -> mc.Fit:
    own = {name: changes.pop(name) for name in ("n_components",) if name in changes}
    given = {"starts": 4, "seed": 1, **changes}
    return mc.fit(replace(SPEC, **own), panel(), missing="drop", progress=False, **given)


MODEL = "model 1, EM"
ASKED: dict[str, Any] = {"n_components": [1, 2], "seed": 5, "starts": 3, "replicates": 3}
ASKED |= {"replicate_starts": 2, "posterior": ["loo"], "sampling": {"draws": 100}}


def sampled_for_choice(spec: mc.MixtureSpec, data: Any, *, seed: int, **_: Any) -> mc.Fit:
    return made_up(mc.fit(spec, data, starts=4, seed=1, progress=False), seed)


@pytest.fixture(scope="module")
def comparison() -> mc.Comparison:
    return compared()


@pytest.fixture(scope="module")
def report(comparison: mc.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            write_comparison, "drawings", lambda _: {o.anchor: () for o in sections.SECTIONS}
        )
        origin = mc.Origin(study=STUDY, file="panel.csv")
        folder = tmp_path_factory.mktemp("report")
        return mc.write_report(comparison, folder, origin=origin, models=[fitted(n_components=1)])


@pytest.fixture(scope="module")
def report_of_choice(comparison: mc.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            write_comparison, "drawings", lambda _: {o.anchor: () for o in sections.SECTIONS}
        )
        patch.setattr(standing, "fit", sampled_for_choice)
        chosen = mc.select(SPEC, panel(), missing="drop", progress=False, **ASKED)
        return mc.write_report(comparison, tmp_path_factory.mktemp("choice"), selection=chosen)


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the posterior be made up, as that of `compared` is, or with changes."""

    def use(seed: int | None = None, offset: FloatArray | None = None) -> None:
        def fit(spec: mc.MixtureSpec, data: Any, *, backend: str, **options: Any) -> mc.Fit:
            if backend == "em":
                return mc.fit(spec, data, backend="em", **options)
            em = mc.fit(spec, data, backend="em", starts=4, seed=1, progress=False)
            return made_up(em, options["seed"] if seed is None else seed, offset)

        def fit_for_choice(*given: Any, **asked: Any) -> mc.Fit:
            own = asked.pop("seed")
            return sampled_for_choice(*given, seed=own if seed is None else seed, **asked)

        monkeypatch.setattr(rerun, "fit", fit)
        monkeypatch.setattr(standing, "fit", fit_for_choice)

    return use


def altered(report: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A page whose record has been changed."""
    record = read_record(report)
    change(record)
    path = folder / "altered.html"
    text = for_script(json.dumps(record))
    path.write_text(f'<script type="application/json" id="{ELEMENT}">{text}</script>', "utf-8")
    return path


def other_version(record: dict[str, Any]) -> None:
    record["fits"]["pymc"]["versions"]["nutpie"] = "0.0.1"


def test_the_same_numbers(report: Path, sampled: Callable[..., None]) -> None:
    sampled()
    again = mc.reproduce(report, panel(), progress=False)
    assert again.agrees
    assert again.same_setting
    assert again.same_draws
    assert (again.numbers["difference"] == 0).all()
    sources = ["em", "pymc", "EM, seed 7", "nutpie (2)", MODEL]
    assert list(again.numbers["source"].unique()) == sources
    parameters = len(again.comparison.em.parameters)
    one_class = 4  # weight, intercept, slope, variance
    maxima, draws = 2 * (1 + 2 * parameters), 2 * 2 * (parameters + 1)
    assert len(again.numbers) == maxima + draws + (1 + 2 * one_class)
    assert again.sentences[
        len(sources)
    ] == "Versions and processor are the same; the draws are " + ("the same to the bit.")


def test_what_the_page_carries(comparison: mc.Comparison, report: Path) -> None:
    record = read_record(report)
    assert record["study"] == STUDY
    text = report.read_text("utf-8")
    assert '<section id="aims">' in text
    assert text.index("<p>Do they agree?</p>") < text.index("<p>If not, why?</p>")
    assert record["data"]["file"] == "panel.csv"
    assert record["data"]["dropped"]["rows"] == 1
    assert record["models"][MODEL]["specification"]["n_components"] == 1
    own = numbers({**recorded_fits(comparison), MODEL: fitted(n_components=1)})
    pd.testing.assert_frame_equal(from_records(record["numbers"]), own)
    beside = json.loads((report.parent / "provenance.json").read_text("utf-8"))
    assert beside == record


def edited(page: str, old: str, new: str) -> str:
    assert old in page
    return page.replace(old, new, 1)


def first(pattern: str, page: str) -> str:
    found = re.search(pattern, page)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        (r'<td class="number" data-key="[^"]*">[^<]+</td>', None),
        (r'data-key="\d[^"]*"', None),
        (r'<th scope="row">log-likelihood[^<]*</th>', None),
        (r'<p class="conclusion">[^<]*', REST),
        (r'<p class="caption" id="table-estimates">[^<]*', REST),
        (r"</style>", REST),
        (r"</main>", REST),
    ],
)
def test_a_page_whose_visible_numbers_were_changed(
    report: Path, tmp_path: Path, pattern: str, part: str | None
) -> None:
    page = tmp_path / "report.html"
    text = report.read_text("utf-8")
    record = read_record(report)
    page.write_text(text.replace("\n", "\r\n"), "utf-8", newline="")
    assert changed_parts(page, record) == ()
    old = first(pattern, text)
    page.write_text(edited(text, old, f"{old[:-6]}9{old[-6:]}"), "utf-8")
    assert read_record(page) == record
    changed = changed_parts(page, record)
    assert changed is not None
    assert len(changed) == 1
    assert (changed == (REST,)) == (part == REST)


def test_tables_that_vanish_or_come_twice(report: Path, tmp_path: Path) -> None:
    page, text = tmp_path / "report.html", report.read_text("utf-8")
    table = first(r'(?s)<table aria-labelledby="table-estimates">.*?</table>', text)
    for other in ("", table + table):
        page.write_text(edited(text, table, other), "utf-8")
        assert changed_parts(page, read_record(report)) == ("estimates", REST)


def test_it_is_said_that_a_page_was_changed(
    report: Path, tmp_path: Path, sampled: Callable[..., None]
) -> None:
    sampled()
    page, text = tmp_path / "report.html", report.read_text("utf-8")
    cell = first(r'(?s)table-estimates">\s*<thead>.*?<td class="number" data-key="[^"]*">', text)
    page.write_text(edited(text, cell, cell + "9"), "utf-8")
    again = mc.reproduce(page, panel(), progress=False)
    assert again.numbers["agrees"].all()
    assert again.changed == ("estimates",)
    assert not again.agrees
    assert any("CHANGED" in said and "estimates" in said for said in again.sentences)
    assert replace(again, changed=()).agrees
    earlier = replace(again, changed=None)
    assert earlier.agrees
    assert any("only its record was tried" in said for said in earlier.sentences)
    assert changed_parts(page, {}) is None


def test_other_random_numbers_in_the_same_setting_differ(
    report: Path, sampled: Callable[..., None]
) -> None:
    sampled(seed=77)
    again = mc.reproduce(report, panel(), progress=False)
    assert again.numbers["agrees"].all()
    assert not again.same_draws
    assert not again.agrees


def test_other_random_numbers_of_another_version_agree_within_their_error(
    report: Path, tmp_path: Path, sampled: Callable[..., None]
) -> None:
    sampled(seed=77)
    page = altered(report, tmp_path, other_version)
    again = mc.reproduce(page, panel(), progress=False)
    assert not again.same_setting
    assert again.agrees


def test_another_posterior_differs_even_with_another_version(
    comparison: mc.Comparison, report: Path, tmp_path: Path, sampled: Callable[..., None]
) -> None:
    offset = np.zeros(len(comparison.em.parameters))
    moved = 3
    offset[moved] = comparison.estimates["posterior_sd"].iloc[moved]
    sampled(seed=77, offset=offset)
    page = altered(report, tmp_path, other_version)
    again = mc.reproduce(page, panel(), progress=False)
    assert not again.agrees
    off = again.numbers[~again.numbers["agrees"]]
    assert f"mean of {comparison.estimates.index[moved]}" in set(off["quantity"])
    assert "numbers agree; the first is" in again.sentences[1]


@pytest.mark.parametrize(("factor", "agrees"), [(1 + 1e-6, False), (1 + 1e-10, True)])
def test_em_must_agree_to_1e_8(
    report: Path, tmp_path: Path, sampled: Callable[..., None], factor: float, agrees: bool
) -> None:
    def change(record: dict[str, Any]) -> None:
        assert record["numbers"][0]["quantity"] == "log-likelihood"
        record["numbers"][0]["value"] *= factor

    sampled()
    assert mc.reproduce(altered(report, tmp_path, change), panel()).agrees is agrees


def test_a_changed_verdict_is_said(
    report: Path, tmp_path: Path, sampled: Callable[..., None]
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["verdicts"]["EM optimum"] = "differ"

    sampled()
    again = mc.reproduce(altered(report, tmp_path, change), panel())
    assert "The verdict on EM optimum was differ and is ok now." in again.sentences


def test_an_earlier_versions_word_for_one_program_is_no_change() -> None:
    """It said agree of one program, too; of two, ok would be another verdict."""
    reported = {"EM optimum": "agree", "modes": "agree", "model fit": "caution"}
    now = {"EM optimum": "ok", "modes": "agree", "model fit": "not judged"}
    changed = rerun._changed(reported, now)
    assert changed.to_numpy().tolist() == [["model fit", "caution", "not judged"]]


def test_the_choice_of_k_is_made_again(
    report_of_choice: Path, tmp_path: Path, sampled: Callable[..., None]
) -> None:
    code = report_of_choice.read_text("utf-8")
    assert "selection = mc.select(spec, data, n_components=[1, 2]" in code
    assert "selection=selection)" in code
    moved = {"AIC, K = 2", "PSIS-LOO, K = 1", "p-value of the test of 1 against 2"}

    def change(record: dict[str, Any]) -> None:
        own = {row["quantity"]: row for row in record["numbers"] if row["source"] == SOURCE}
        for name in moved:
            own[name]["value"] *= 1.05
        record["selection"]["choices"]["icl"] = 1

    sampled()
    again = mc.reproduce(altered(report_of_choice, tmp_path, change), panel())
    assert not again.agrees
    assert again.same_draws
    off = again.numbers[~again.numbers["agrees"]]
    assert set(off["source"]) == {SOURCE}
    assert set(off["quantity"]) == moved
    # Of each K 8 by EM and one of the posterior; 3 of the test.
    said = "Choice of K: 18 of 21 numbers agree; the first is PSIS-LOO, K = 1."
    assert said in again.sentences
    assert "The verdict on the number of classes by ICL was 1 and is 2 now." in again.sentences
    assert again.selection is not None
    assert dict(again.selection.asked) == ASKED


def test_monte_carlo_error_of_leave_one_out() -> None:
    """It is the spread over posteriors drawn anew: here a normal mean's, by independent draws."""
    rng = np.random.default_rng(8)
    y = rng.normal(size=12)

    def densities() -> FloatArray:
        mean = rng.normal(y.mean(), 1 / np.sqrt(len(y)), size=(2, 500, 1))
        return -0.5 * (y - mean) ** 2

    def elpd(drawn: FloatArray) -> float:
        return float(-np.log(np.exp(-drawn).mean(axis=(0, 1))).sum())

    spread = np.std([elpd(densities()) for _ in range(400)], ddof=1)
    errors = [elpd_error(densities()) for _ in range(20)]
    assert np.mean(errors) == pytest.approx(spread, rel=0.15)
    assert elpd_error(np.zeros((2, 50, 3))) == 0


def test_few_runs_of_sequential_monte_carlo_give_a_wide_error() -> None:
    table = pd.DataFrame({"log_evidence_smc": [-9.0], "log_evidence_smc_error": [0.1]}, index=[2])
    names = ["log_likelihood", "aic", "bic", "bic_rows", "sabic", "icl", "entropy_r2"]
    table[[*names, "smallest_class"]] = 1.0
    for runs, error in ((4, 0.1 * 12.924 / 3.2905), (100, 0.1 * 3.3915 / 3.2905)):
        asked = {"sampling": {"chains": runs}}
        found = choice_numbers(mc.Selection({}, table, None, {}, {}, asked)).set_index("quantity")
        assert found["error"]["marginal likelihood, SMC, K = 2"] == pytest.approx(error, rel=1e-3)


def test_numbers_that_one_side_lacks_do_not_agree(comparison: mc.Comparison) -> None:
    whole = numbers(recorded_fits(comparison))
    table = agreement(whole.iloc[1:], whole.iloc[:-1])
    assert len(table) == len(whole)
    assert int((~table["agrees"]).sum()) == 2


def test_numbers_survive_json(comparison: mc.Comparison) -> None:
    table = numbers(recorded_fits(comparison))
    text = json.dumps(to_records(table), allow_nan=False)
    pd.testing.assert_frame_equal(from_records(json.loads(text)), table)


def own_start(record: dict[str, Any]) -> None:
    record["fits"]["em"]["options"]["initial"] = "<Fit>"


@pytest.mark.parametrize(
    ("data", "change", "error", "words"),
    [
        (None, None, mc.DataError, r"panel\.csv.*--data FILE"),
        ("changed", None, mc.DataError, "fingerprint"),
        ("given", own_start, mc.OptionError, "initial = <Fit>"),
    ],
    ids=["no data", "other data", "own start"],
)
def test_what_cannot_be_tried(
    report: Path,
    tmp_path: Path,
    data: str | None,
    change: Callable[[dict[str, Any]], None] | None,
    error: type[Exception],
    words: str,
) -> None:
    page = report if change is None else altered(report, tmp_path, change)
    table = None if data is None else panel()
    if data == "changed":
        assert table is not None
        table["y"] += 1e-9
    with pytest.raises(error, match=words):
        mc.reproduce(page, table)


NO_REPORTS = [None, "", "<p>no record</p>", f'<script id="{ELEMENT}">{{</script>']
NO_REPORTS += [f'<script id="{ELEMENT}">{text}</script>' for text in ("[1]", "3", "[" * 99_999)]


@pytest.mark.parametrize("text", NO_REPORTS, ids=range(len(NO_REPORTS)))
def test_what_is_no_report(tmp_path: Path, text: str | None) -> None:
    page = tmp_path / "page.html"
    if text is not None:
        page.write_text(text)
    with pytest.raises(mc.DataError, match=r"page\.html"):
        mc.reproduce(page)


@pytest.mark.parametrize(
    ("seed", "arguments", "status", "said"),
    [
        (None, ["--all"], 0, ["log-likelihood", "agrees", "The report is reproduced."]),
        (None, [], 0, ["The report is reproduced."]),
        (77, [], 3, ["The report is NOT reproduced."]),
    ],
)
def test_on_the_command_line(
    report: Path,
    tmp_path: Path,
    sampled: Callable[..., None],
    seed: int | None,
    arguments: list[str],
    status: int,
    said: list[str],
) -> None:
    sampled(seed=seed)
    data = tmp_path / "panel.csv"
    panel().to_csv(data, index=False)
    done = CliRunner().invoke(app, ["reproduce", str(report), "--data", str(data), *arguments])
    assert done.exit_code == status, done.output
    for words in said:
        assert words in done.output


def test_what_is_no_path_is_named() -> None:
    with pytest.raises(mc.DataError, match=r"the path of a report\.html, not an int \(3\)"):
        mc.reproduce(3)  # type: ignore[arg-type]
