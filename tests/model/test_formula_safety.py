"""What a formula may hold, whoever wrote it and wherever it comes from; nothing else runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic import Formula
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.base.errors import MixCompareError, OptionError, SpecificationError
from mixcompare.cli.app import app
from mixcompare.cli.study import plan_command
from mixcompare.comparison.calls import spec_code
from mixcompare.data.panel import build_panel
from mixcompare.model.formula import python as formula_python
from mixcompare.model.spec import MixtureSpec
from mixcompare.prediction import predict
from mixcompare.report.provenance import code_reload
from mixcompare.reproduction.carried import ELEMENT, for_script
from mixcompare.study.file.custom import is_shipped
from tests.places import ROOT

# PATH is a file that each of them would make, or read, if it ran; and the part that is named.
ATTACKS = [
    ("{__import__('os').system('touch PATH')}", "__import__"),
    ("{open('PATH', 'w')}", "open"),
    ("open('PATH', 'w')", "open"),
    ("I(open('PATH', 'w'))", "open"),
    ("C(open('PATH', 'w'))", "open"),
    ("C(x, open('PATH', 'w'))", "open"),
    ("C(x, contr.treatment(base=open('PATH', 'w')))", "open"),
    ("C(x, levels=[open('PATH', 'w')])", "open"),
    ("C(x, {'a': open('PATH', 'w')})", "open"),
    ("C(x, {**open('PATH', 'w')})", "stars"),
    # formulaic evaluates arguments of these while it reads the formula.
    ("center(open('PATH', 'w'))", "open"),
    ("poly(x, degree=open('PATH', 'w'))", "open"),
    ("bs(x, df=open('PATH', 'w'))", "open"),
    ("scale(x, center=open('PATH', 'w').tell())", "tell"),
    ("Q(open('PATH', 'w'))", "Q"),
    ("log(x + open('PATH', 'w').tell())", "tell"),
    ("np.log(open('PATH', 'w'))", "open"),
    ("I(x == open('PATH', 'w'))", "open"),
    ("I(-open('PATH', 'w'))", "open"),
    ("poly(x, *open('PATH', 'w'))", "*open"),
    ("poly(x, **open('PATH', 'w'))", "stars"),
    ("poly(x, _state=open('PATH', 'w'))", "_state"),
    ("center(x, _context=open('PATH', 'w'))", "_context"),
    ("hashed(x, 3, hash_func=open)", "hash_func"),
    ("log(x, out=open('PATH', 'w'))", "out"),
    ("np.add(x, 1, x)", "np.add"),
    ("x.to_csv('PATH')", "x.to_csv"),
    ("I(x.to_csv('PATH'))", "x.to_csv"),
    ("{x.to_csv('PATH')}", "x.to_csv"),
    ("I(`x`.to_csv('PATH'))", "x.to_csv"),
    ("I((x + 1).to_csv('PATH'))", "to_csv"),
    ("x.map(print)", "x.map"),
    ("x.pipe(open)", "x.pipe"),
    ("I(x.eval('PATH'))", "x.eval"),
    ("x.__class__", "x.__class__"),
    ("I(x.__class__)", "x.__class__"),
    ("{x.__class__.__mro__}", "__mro__"),
    ("I(().__class__.__base__.__subclasses__())", "__subclasses__"),
    ("I('{0.__class__}'.format(x))", "format"),
    ("I('%s' % x)", "'%s'"),
    ("I('a' * 10**9 + x)", "'a'"),
    ("np.save('PATH', x)", "np.save"),
    ("np.savetxt('PATH', x)", "np.savetxt"),
    ("np.load('PATH')", "np.load"),
    ("np.fromfile('PATH')", "np.fromfile"),
    ("np.memmap('PATH', mode='w+', shape=(1,))", "np.memmap"),
    ("np.lib.format.open_memmap('PATH', 'w+', shape=(1,))", "open_memmap"),
    ("np.ctypeslib", "np.ctypeslib"),
    ("I(np.ctypeslib)", "np.ctypeslib"),
    ("np.ctypeslib.load_library('PATH', '/')", "np.ctypeslib"),
    ("np.vectorize(open)('PATH')", "np.vectorize"),
    ("np.frompyfunc(open, 2, 1)('PATH', 'w')", "np.frompyfunc"),
    ("np.add.reduce(x)", "np.add.reduce"),
    ("np.add.at(x, 0, 1)", "np.add.at"),
    ("np.log.__self__", "np.log.__self__"),
    ("np.log(x).dump('PATH')", "dump"),
    ("np.__builtins__", "np.__builtins__"),
    ("C.__globals__", "C.__globals__"),
    ("I(C.__globals__)", "C.__globals__"),
    ("contr.custom.__init__.__globals__", "__globals__"),
    ("I(contr.__class__)", "contr.__class__"),
    ("{exp10.__globals__['numpy']}", "exp10.__globals__"),
    ("(lambda: open('PATH', 'w'))()", "open"),
    ("{(lambda: open('PATH', 'w'))()}", "lambda"),
    ("I(lambda: x)", "a function of its own"),
    ("{[open('PATH', 'w') for _ in (1,)]}", "a comprehension"),
    ("{sum(1 for _ in (1,))}", "sum"),
    ("I({x for x in (1,)})", "a comprehension"),
    ("I({x: x for x in (1,)})", "a comprehension"),
    ("I(f'{open}')", "an f-string"),
    ("I((y := x))", "an assignment"),
    ("I(x if open('PATH', 'w') else x)", "an 'if'"),
    ("I(x and open('PATH', 'w'))", "'and' or 'or'"),
    ("I(x in open('PATH'))", "no comparison"),
    ("I(x @ open('PATH'))", "no arithmetic"),
    ("I(x << 9)", "no arithmetic"),
    ("I(not x)", "not x"),
    ("I(x[open('PATH', 'w')])", "a part of a column"),
    ("x[open('PATH', 'w')]", "a part of a column"),
    ("{x[0]}", "a part of a column"),
    ("I((yield x))", "a yield"),
    ("I(await x)", "an await"),
    ("{@x}", "cannot be parsed"),
    ("{x; open('PATH', 'w')}", "cannot be parsed"),
    ("{x = open('PATH', 'w')}", "cannot be parsed"),
    ("{import os}", "cannot be parsed"),
    ("I(b'x' + x)", "neither a real number nor a text"),
    ("I(x + 1j)", "neither a real number nor a text"),
    ("I(x + ...)", "neither a real number nor a text"),
    ("eval('PATH')", "eval"),
    ("exec('PATH')", "exec"),
    ("getattr(x, 'to_csv')('PATH')", "calls what is no name"),
    ("compile(x)", "compile"),
    ("breakpoint()", "breakpoint"),
    ("input()", "input"),
    ("print(x)", "print"),
    ("vars(x)", "vars"),
    ("I(__builtins__)", "__builtins__"),
    ("I(__FORMULAIC_CONTEXT__)", "__FORMULAIC_CONTEXT__"),
    ("I(__FORMULAIC_SPEC__.formula)", "__FORMULAIC_SPEC__"),
    # Python reads these letters as those of open and eval.
    ("\uff4f\uff50\uff45\uff4e('PATH', 'w')", "open"),
    ("I(\uff45val('PATH'))", "eval"),
    ("I(\U0001d4cd.to_csv('PATH'))", "x.to_csv"),
    ("I(`open`('PATH', 'w'))", "open"),
    ("I(`__import__`('os'))", "__import__"),
    ("I(`lambda`: x)", "lambda"),
    ("{`x' + open('PATH', 'w') + '`.tell()}", "tell"),
    ("I('_formulaic_a_b' + `a b` + open('PATH', 'w'))", "open"),
    ("center(x, '\" + open(chr(47)) + \"')", "argument"),
    ('poly(x, "it\'s")', "quotes or backslashes"),
    ("poly(x == 'a\"b', 2)", "quotes or backslashes"),
    # These would only take all of the memory, or all of the time.
    ("I(9**9**9**9 * x)", "beyond the largest number"),
    ("I(x * 10**400)", "beyond the largest number"),
    ("bs(x, df=10**9)", "1000 are allowed"),
    ("poly(x, 100000)", "1000 are allowed"),
    ("hashed(x, levels=10**9)", "1000 are allowed"),
    ("(x + z + g)**99", "10000 ways"),
    ("(x + z + g)^999999999", "10000 ways"),
    ("*".join(f"x{i}" for i in range(40)), "10000 ways"),
    (":".join(f"({c}1 + {c}2 + {c}3)" for c in "abcdefghijk"), "10000 ways"),
    ("`\x1b[31m` + x.to_csv('PATH')", "x.to_csv"),
    ("C(x, contr.sum, ['a'])", "at most 2"),
    ("poly(`\x1b[31m`, 2, 3, 4)", "at most"),
]


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "y": rng.normal(size=40),
            "x": rng.uniform(1, 2, size=40),
            "z": rng.uniform(1, 2, size=40),
            "g": list("abcd") * 10,
            "a b": rng.normal(size=40),
            "driver's age": rng.uniform(1, 2, size=40),
            "open": rng.uniform(1, 2, size=40),
            "np": rng.uniform(1, 2, size=40),
            "1": rng.normal(size=40),
            "0": rng.normal(size=40),
            "-1": rng.normal(size=40),
            "year": np.tile([2001, 2004], 20),
        }
    )


@pytest.fixture(scope="module")
def saved() -> mc.Fit:
    return mc.fit(MixtureSpec("y ~ x", n_components=1), table(), seed=1, starts=1)


def _plain(formula: str) -> dict[str, Any]:
    return {"formula": formula, "n_components": 1}


def _page(path: Path, specification: dict[str, Any], **further: Any) -> Path:
    record = for_script(json.dumps({"specification": specification, **further}))
    path.write_text(f'<script type="application/json" id="{ELEMENT}">{record}</script>', "utf-8")
    return path


def _study(path: Path, formula: str) -> Path:
    path.write_text(
        '[study]\nname = "a"\n[data]\npanel = "gapminder"\n[model]\n'
        f"formula = {json.dumps(formula, ensure_ascii=False)}\nn_components = 1\n"
        '[methods.em]\nbackend = "em"\n',
        "utf-8",
    )
    return path


def _by_spec(formula: str, _: Path, __: mc.Fit) -> Any:
    return MixtureSpec(formula, n_components=1)


def _by_dictionary(formula: str, _: Path, __: mc.Fit) -> Any:
    return MixtureSpec.from_dict(_plain(formula))


def _by_fit(formula: str, _: Path, saved: mc.Fit) -> Any:
    return predict(_altered(saved, formula), table())


def _altered(saved: mc.Fit, formula: str) -> mc.Fit:
    tree = saved.tree.copy()
    tree.attrs["spec"] = json.dumps({**saved.spec.to_dict(), "formula": formula})
    return mc.Fit(tree)


def _by_page(formula: str, folder: Path, _: mc.Fit) -> Any:
    return mc.reproduce(_page(folder / "report.html", _plain(formula)), table())


def _by_study(formula: str, folder: Path, _: mc.Fit) -> Any:
    plan_command(_study(folder / "study.toml", formula))


DOORS = [_by_spec, _by_dictionary, _by_fit, _by_page, _by_study]


@pytest.mark.parametrize(("attack", "part"), ATTACKS)
def test_nothing_of_a_strangers_formula_runs(
    attack: str, part: str, tmp_path: Path, saved: mc.Fit
) -> None:
    target = tmp_path / "target"
    text = attack.replace("PATH", str(target))
    for door in DOORS:
        with pytest.raises(MixCompareError) as caught:
            door(f"y ~ {text}", tmp_path, saved)
        assert part in str(caught.value)
        assert str(caught.value).isprintable()
        assert not target.exists()
    for name in ("membership", "common"):
        with pytest.raises(SpecificationError):
            MixtureSpec.from_dict({**_plain("y ~ 1"), "unit": "g", name: f"~ {text}"})
    with pytest.raises(SpecificationError):
        MixtureSpec(f"{text} + y ~ x", n_components=1)
    assert not target.exists()


@pytest.mark.parametrize(
    "attack",
    ["x.to_csv('PATH')", "center(open('PATH', 'w'))"],
)
def test_nothing_of_a_saved_fits_formula_runs(attack: str, tmp_path: Path, saved: mc.Fit) -> None:
    target = tmp_path / "target"
    formula = f"y ~ {attack.replace('PATH', str(target))}"
    path = _altered(saved, formula).save(tmp_path / "fit.nc")
    fit = mc.load(path)
    for use in (
        lambda fit: predict(fit, table()),
        lambda fit: fit.summary(),
        repr,
    ):
        with pytest.raises(SpecificationError, match=r"open|to_csv|save"):
            use(fit)
    assert not target.exists()


def test_a_page_names_its_further_models_formulas_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("data were read")

    monkeypatch.setattr("mixcompare.reproduction.refit.build_panel", fail)
    good = _plain("y ~ x")
    fits = {"em": {"backend": "em", "seed": 1, "options": {}}}
    whole: dict[str, Any] = {
        "fits": fits,
        "models": {},
        "thresholds": {},
        "numbers": [],
        "selection": None,
    }
    whole |= {"verdicts": {}, "draws_sha256": {}}
    whole["data"] = {"dropped": {"rows": 0}, "panel": None, "file": None}
    bad = {"a": {**fits["em"], "specification": _plain("y ~ x.to_csv('f')")}}
    slip = {"em": {**fits["em"], "options": {"strats": 5}}}
    for change, said in (
        ({"models": bad}, "x.to_csv"),
        ({"fits": slip}, "strats"),
        ({"thresholds": {"nothing": "1"}}, "damaged"),
        ({"data": {}}, "lacks 'dropped'"),
        ({"selection": {"asked": {"sampling": None, "strats": 5}}}, "strats"),
        ({"selection": {"asked": {"sampling": {"darws": 5}}}}, "darws"),
        ({"selection": {}}, "lacks 'asked'"),
    ):
        page = _page(tmp_path / "report.html", good, **{**whole, **change})
        with pytest.raises(MixCompareError, match=said):
            mc.reproduce(page, table())
    for absent in whole:
        kept = {name: value for name, value in whole.items() if name != absent}
        with pytest.raises(MixCompareError, match=f"lacks '{absent}'"):
            mc.reproduce(_page(tmp_path / "report.html", good, **kept), table())


# Trust


def test_trust_lets_any_python_run() -> None:
    spec = MixtureSpec("y ~ x.clip(1.5) + abs(z)", n_components=1, trust=True)
    panel = build_panel(spec, table())
    np.testing.assert_array_equal(panel.covariates[:, 1], table()["x"].clip(1.5))


def test_trust_is_said_anew_by_whoever_opens_a_file(tmp_path: Path) -> None:
    spec = MixtureSpec("y ~ x.clip(1.5)", n_components=1, trust=True)
    fitted = mc.fit(spec, table(), seed=1, starts=1)
    assert fitted.spec.trust
    path = fitted.save(tmp_path / "fit.nc")
    assert mc.load(path, trust=True).spec == spec
    assert len(predict(mc.load(path, trust=True), table())["row"]) == 40
    with pytest.raises(SpecificationError, match=r"x\.clip.*trust=True, or --trust"):
        predict(mc.load(path), table())
    assert "trust" not in spec.to_dict()
    with pytest.raises(SpecificationError, match="unknown specification key 'trust'"):
        MixtureSpec.from_dict({**spec.to_dict(), "trust": True})
    with pytest.raises(SpecificationError, match="trust must be one of"):
        MixtureSpec("y ~ x", n_components=1, trust="yes")  # type: ignore[arg-type]
    study = _study(tmp_path / "study.toml", "lifeExp ~ t.clip(0)")
    assert mc.load_study(study, trust=True).spec.trust
    study.write_text(study.read_text("utf-8").replace("[methods", "trust = true\n[methods"))
    with pytest.raises(OptionError, match="trust"):
        mc.load_study(study)


def test_trust_is_no_part_of_what_a_specification_is() -> None:
    plain, trusted = (MixtureSpec("y ~ x", n_components=2, trust=t) for t in (False, True))
    assert plain == trusted
    assert hash(plain) == hash(trusted)
    assert plain.content_hash == trusted.content_hash
    assert repr(plain) == repr(trusted)


# Functions that a study file names


@pytest.mark.parametrize(
    ("table_of", "reference"),
    [
        ("loader", "sys:exit"),
        ("loader", "os:getpid"),
        ("loader", "mixcompare.base.files.staging:os.getpid"),
        ("loader", "mixcompare.datasets:pd.read_csv"),
        ("loader", "mixcompare.datasets:resources"),
        ("generator", "os:getpid"),
    ],
)
@pytest.mark.parametrize("run", [plan_command, mc.run_study])
def test_functions_of_a_study_file_run_only_if_it_is_trusted(
    table_of: str, reference: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    named = {
        "loader": f'[data]\nloader = "{reference}"',
        "generator": f'[simulate]\ngenerator = "{reference}"\nweights = [1.0]\ncovariance = 1.0\n'
        "[simulate.coefficients]\nIntercept = [0.0]",
    }
    path = tmp_path / "study.toml"
    path.write_text(
        f'[study]\nname = "a"\n{named[table_of]}\n[model]\nformula = "y ~ 1"\nn_components = 1\n'
        f'[methods.em]\nbackend = "em"\n[report]\noutput = "{tmp_path}"\n[run]\nworkers = 0\n'
    )
    mc.load_study(path)  # as `status` and `export` do, which run nothing of it
    with pytest.raises(OptionError, match=rf"{table_of} = '{reference}'.*--trust"):
        run(path)
    with pytest.raises(MixCompareError, match=f"'{reference}' cannot be used"):
        run(path, trust=True)


def test_a_loader_that_exits_or_raises_is_named() -> None:
    model = {"formula": "y ~ 1", "n_components": 1}
    base = {"study": {"name": "a"}, "model": model, "methods": {"em": {"backend": "em"}}}
    for reference, said in (
        ("sys:exit", "SystemExit"),
        ("os:abort_", "no attribute"),
        ("antigravity_:x", "No module"),
        (
            "tests.model.test_formula_safety:broken",
            r"ZeroDivisionError.*test_formula_safety\.py, line",
        ),
    ):
        study = mc.build_study({**base, "data": {"loader": reference}})
        with pytest.raises(mc.DataError, match=f"'{reference}' cannot be used: .*{said}"):
            study.read_data()


def broken() -> None:
    1 / 0  # noqa: B018


def test_loaders_that_ship_need_no_trust() -> None:
    assert is_shipped("mixcompare.datasets:_gapminder")
    assert not is_shipped("mixcompare.datasets:nothing")
    assert not is_shipped("mixcompare.study.file.custom:importlib.import_module")


def test_the_mechanisms_formula_is_read_with_the_study(tmp_path: Path) -> None:
    simulated = {"units": 9, "weights": [1.0], "coefficients": {"Intercept": [0.0]}}
    tables = {
        "study": {"name": "a"},
        "model": {"formula": "y ~ 1", "n_components": 1},
        "methods": {"em": {"backend": "em"}},
        "simulate": {**simulated, "covariance": 1.0, "formula": "y ~ x.to_csv('f')"},
    }
    with pytest.raises(OptionError, match=r"\[simulate\] formula .*x\.to_csv"):
        mc.build_study(tables)
    assert mc.build_study(tables, trust=True).trust


@pytest.mark.parametrize(
    "formula", ["y ~ np + np.log(x)", "log ~ log(x)", "y ~ C + C(g)", "y ~ I(I)", "y ~ log(log)"]
)
def test_a_column_with_the_name_of_a_function_that_is_called_is_named(formula: str) -> None:
    data = table().assign(log=2.0, C=1.0, I=1.0)
    with pytest.raises(mc.DataError, match=r"the column '(np|log|C|I)' has the name of a function"):
        build_panel(MixtureSpec(formula, n_components=1), data)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ " + "(" * 20_000,
        "y ~ I(" + "(" * 3_000 + "x" + ")" * 3_000 + ")",
        "y ~ I(x" + " + x" * 20_000 + ")",
        "y ~ " + "I(" * 2_000 + "x" + ")" * 2_000,
        "y ~ I(-" + "-" * 20_000 + "x)",
        "y ~ log(" + "9" * 5_000 + " * x)",
        "y ~ x\x00",
        "y ~ I(x\x00)",
        "y ~ I('\\d' + x",
    ],
    ids=range(9),
)
def test_texts_without_end_are_an_error_of_one_paragraph(formula: str) -> None:
    with pytest.raises(SpecificationError, match=r"^formula ['\"]") as caught:
        MixtureSpec(formula, n_components=1)
    assert len(str(caught.value)) < 1500


# What goes on working

LEGITIMATE = [
    "y ~ 1",
    "y ~ 0 + x",
    "y ~ x - 1",
    "y~x",
    "y + z ~ x",
    "log(y + 9) + z ~ x",
    "y ~ x + z + x:z",
    "y ~ x*z",
    "y ~ (x + z + g)**2",
    "y ~ (x + z)^2 - x:z",
    "y ~ x*g - x",
    "y ~ g / x",
    "y ~ `a b` + log(`driver's age`)",
    "y ~ `a b`:x",
    "y ~ x + I(x**2)",
    "y ~ I(center(x)**2)",
    "y ~ center(x) + scale(z)",
    "y ~ scale(x, center=False)",
    "y ~ standardize(x, rescale=False)",
    "y ~ poly(x, 2)",
    "y ~ poly(x, degree=2, raw=True)",
    "y ~ bs(x, df=4)",
    "y ~ bs(x, knots=[1.3, 1.6], degree=2, include_intercept=False)",
    "y ~ cr(x, df=3) + cs(z, df=3)",
    "y ~ cc(x, df=3, constraints='center')",
    "y ~ C(year) + C(g)",
    "y ~ C(g, contr.treatment('b'))",
    "y ~ C(g, contr.treatment(base='b'))",
    "y ~ C(g, Treatment('b'))",
    "y ~ C(g, contr.sum)",
    "y ~ C(g, contr.helmert())",
    "y ~ C(g, contr.poly(scores=[1, 2, 3, 5]))",
    "y ~ C(g, contr.diff) + x",
    "y ~ C(g, contr.SAS)",
    "y ~ C(g, levels=['d', 'c', 'b', 'a'])",
    "y ~ C(g, {'ab': [1, -1, 0, 0]})",
    "y ~ C(g, contr.custom([[1], [0], [0], [-1]]))",
    "y ~ C(g, spans_intercept=False)",
    "y ~ hashed(g, levels=3)",
    "y ~ log(x) + log10(x) + log2(x) + exp(x) + exp2(x) + exp10(x)",
    "y ~ np.sqrt(x) + np.log1p(z)",
    "y ~ np.maximum(x, 1.5) + np.arctan2(x, z)",
    "y ~ I(np.pi * x) + I(np.sin(2 * np.pi * x / 12))",
    "y ~ I(x > 1.5)",
    "y ~ I((x > 1.2) & (z < 1.8) | (x == z))",
    "y ~ I(~(x > 1.5))",
    "y ~ I((g == 'a') * x)",
    'y ~ I(g != "it\'s")',
    "y ~ I(-x) + I(+z)",
    "y ~ I(x / z) + I(x % 1) + I(x // 0.5) + I(x - z)",
    "y ~ I(x**0.5 + 1e3 * z)",
    "y ~ {x / z}",
    "y ~ {x**2}",
    "y ~ open + I(open)",
    "y ~ np",
    "y ~ `0` + `-1` + I(`1`)",
    "y ~ 2:x",
]


@pytest.mark.parametrize("formula", LEGITIMATE)
def test_designs_are_those_of_formulaic(formula: str) -> None:
    data = table()
    panel = build_panel(MixtureSpec(formula, n_components=1), data)
    numbers = data.astype({"year": float}) if "C(year)" not in formula else data
    # formulaic takes a column named np for NumPy.
    numbers = numbers if formula == "y ~ np" else numbers.drop(columns="np")
    matrices = Formula(formula).get_model_matrix(numbers, context={}, output="pandas")
    order = np.argsort(panel.row)
    assert panel.covariate_names == tuple(map(str, matrices.rhs.columns))
    assert panel.outcome_names == tuple(map(str, matrices.lhs.columns))
    np.testing.assert_array_equal(panel.covariates[order], matrices.rhs.to_numpy(float))
    np.testing.assert_array_equal(panel.outcomes[order], matrices.lhs.to_numpy(float))


def test_the_manual_names_what_formulas_may_hold() -> None:
    page = (ROOT / "docs" / "safety.md").read_text("utf-8")
    for name in (*formula_python._FUNCTIONS, *formula_python._CONTRASTS):
        assert (
            f"`{name}" in page or f"`contr.{name}`" in page or name in formula_python._AS_CLASSES
        ), name


@pytest.mark.parametrize(
    "command",
    "compare select audit predict reproduce show plan run status rerun export".split(),  # noqa: SIM905
)
def test_every_command_that_reads_formulas_can_be_told_to_trust(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--trust" in result.output


def test_the_command_line_predicts_from_a_trusted_fit(tmp_path: Path) -> None:
    spec = MixtureSpec("y ~ x.clip(1.5)", n_components=1, trust=True)
    path = mc.fit(spec, table(), seed=1, starts=1).save(tmp_path / "fit.nc")
    table().to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["predict", str(path), str(tmp_path / "rows.csv")]
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, SpecificationError)
    assert CliRunner().invoke(app, [*arguments, "--trust"]).exit_code == 0


def test_a_trusted_formula_that_gives_no_numbers_is_an_error_of_one_paragraph() -> None:
    for formula in ("y ~ x + I('a')", "y ~ x + I(x.nothing)"):
        with pytest.raises(mc.DataError, match=r"^formula .*"):
            build_panel(MixtureSpec(formula, n_components=1, trust=True), table())


def test_the_code_on_a_reports_page_says_trust_where_it_is_needed() -> None:
    spec = MixtureSpec("y ~ x.clip(1.5)", n_components=1, trust=True)
    assert spec_code(spec).endswith("n_components=1, trust=True)")
    assert 'mc.load("em.nc", trust=True)' in code_reload(("em.nc", "pymc.nc"), trust=True)
    assert "trust" not in code_reload(("em.nc", "pymc.nc"), trust=False)
