"""What a comparison says to run: calls that the backends take, and commands that the CLI takes."""

import ast
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

import mixcompare as mc
from mixcompare.backends import build_options
from mixcompare.cli.app import app
from mixcompare.comparison.calls import command, spec_code
from mixcompare.comparison.glossary import REASONS
from mixcompare.comparison.remedies import Remedy, enough_draws
from mixcompare.comparison.verdicts import conclude
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulate(units=80, rows=(4, 9), seed=5)


@pytest.fixture(scope="module")
def em(table: pd.DataFrame) -> mc.Fit:
    return mc.fit(SPEC, table, starts=12, seed=1)


def called(line: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Named arguments of the one call in a line, evaluated."""
    [assigned] = ast.parse(line).body
    assert isinstance(assigned, ast.Assign)
    assert isinstance(assigned.value, ast.Call)
    assert ast.unparse(assigned.value.func) == "mc.fit"
    return {
        str(word.arg): eval(compile(ast.Expression(word.value), "", "eval"), dict(scope))
        for word in assigned.value.keywords
    }


def check(comparison: mc.Comparison, remedy: Remedy) -> dict[str, Any]:
    """Try a remedy's code on the parts that take it; returns the options of its fit."""
    spec, call, compared = remedy.python.splitlines()
    assert eval(spec.removeprefix("spec = "), {"mc": mc}) == comparison.em.spec
    assert compared.startswith("comparison = mc.compare(em, pymc")
    given = called(call, {"em": comparison.em, "comparison": comparison})
    backend, seed = given.pop("backend"), given.pop("seed")
    of = comparison.em if backend == "em" else comparison.posterior_fit
    assert (backend, seed) == (of.backend, of.seed)
    build_options(backend, given)
    if remedy.command:
        typed = parsed(remedy.command_on("my data.csv"))
        assert str(typed["data"]) == "my data.csv"
        for name, value in given.items():
            if name != "initial":
                assert typed[name] == value
        assert typed["seed"] == seed
        assert (typed["formula"], typed["components"]) == (SPEC.formula, SPEC.n_components)
    return given


def parsed(line: str) -> dict[str, Any]:
    """A command's arguments by the command line's own parser."""
    program, name, *words = shlex.split(line)
    assert program == "mixcompare"
    group = typer.main.get_command(app)
    chosen = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]
    return dict(chosen.make_context(name, words).params)


def test_a_maximum_that_em_missed(em: mc.Fit, table: pd.DataFrame) -> None:
    even = np.full((80, 2), 0.5)
    stuck = mc.fit(SPEC, table, starts=0, initial=even, seed=3, max_iterations=2)
    comparison = mc.compare(stuck, stand_in(em, seed=3), climbs=8)
    [remedy] = comparison.remedies
    assert comparison.restart is not None
    by = comparison.restart.log_likelihood - stuck.log_likelihood
    assert remedy.headline == f"EM missed a maximum {by:.3g} higher"
    given = check(comparison, remedy)
    assert given["initial"] is comparison.restart
    assert given["starts"] == 200
    assert remedy.command == ""  # which takes no max_iterations
    again = mc.fit(SPEC, table, seed=3, **{**given, "starts": 0})
    assert again.log_likelihood == pytest.approx(em.log_likelihood, rel=1e-10)


def test_chains_that_are_too_short(em: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(em, autocorrelation=0.9, draws=200, seed=5), climbs=8)
    [remedy] = comparison.remedies
    assert remedy.reason.name == "not converged"
    assert "EM and MCMC do not contradict each other, but the chains are too" in (
        comparison.conclusion
    )
    given = check(comparison, remedy)
    assert given["draws"] > 500
    assert "--draws" in remedy.command
    assert remedy.toml == f'backend = "pymc"\ndraws = {given["draws"]}\ntune = 1000'
    verdicts = comparison.verdicts.set_index("section")["verdict"]
    assert verdicts[["model fit", "prior sensitivity", "label switching"]].eq("not judged").all()
    assert not verdicts[["estimates", "likelihoods", "class membership"]].eq("agree").any()
    assert "effective parameters" not in " ".join(comparison.verdicts["statement"])
    assert np.isnan(comparison.likelihoods["value"]["PSIS-LOO p"])


def test_divergent_transitions(em: mc.Fit) -> None:
    posterior = stand_in(em, seed=1)
    posterior.draws.statistics["diverging"][0, :3] = True
    comparison = mc.compare(em, posterior, climbs=8)
    [remedy] = comparison.remedies
    assert remedy.headline == "3 transitions of the sampler diverged"
    assert check(comparison, remedy)["target_accept"] == 0.95
    convergence = comparison.verdicts.set_index("section").loc["MCMC convergence"]
    assert (convergence["verdict"], convergence["reason"]) == ("caution", "divergent transitions")


def test_chains_in_different_modes_are_named(table: pd.DataFrame) -> None:
    three = mc.fit(replace(SPEC, n_components=3), table, starts=40, seed=1)
    starts = three.search.ends
    lower = int(np.flatnonzero(starts["optimum"] == 1)[0])
    start = {name: values[lower] for name, values in three.search.parameters.items()}
    other = mc.fit(three.spec, table, starts=0, initial=start)
    comparison = mc.compare(three, stand_in([three, other], spread=0.3, seed=4), climbs=40)
    [remedy] = comparison.remedies
    by = three.log_likelihood - other.log_likelihood
    assert remedy.headline == f"chains 2 and 4 sit {by:.3g} lower than chains 1 and 3"
    _, call, _ = remedy.python.splitlines()
    given = called(call, {})
    assert (given["sampler"], given["draws"]) == ("smc", 2000)


def test_a_single_start_is_a_doubt_and_no_culprit(em: mc.Fit, table: pd.DataFrame) -> None:
    alone = mc.fit(SPEC, table, starts=1, seed=1)
    comparison = mc.compare(alone, stand_in(alone, seed=1), climbs=8)
    [remedy] = comparison.remedies
    assert remedy.headline == "EM reached its maximum from 1 of 1 starts"
    assert check(comparison, remedy) == {"starts": 200}
    assert "--starts 200" in remedy.command


@pytest.mark.parametrize(
    ("r_hat", "ess", "draws"),
    [(1.02, 100.0, 6000), (1.005, 50.0, 12000), (1.05, 399.0, 8000), (9.0, 4.0, 20000)],
)
def test_draws_that_suffice(r_hat: float, ess: float, draws: int) -> None:
    """By hand: 1.5 times 400 / ESS or (R-hat^2 - 1) / 0.0201, at most 20 times, by 500s."""
    evidence: Any = type("Evidence", (), {"thresholds": mc.Thresholds()})
    assert enough_draws(1000, r_hat, ess, evidence) == draws


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"unit": None, "formula": "y ~ x + `a b`"},
        {"absorb": ("unit", "cell"), "time": "t", "covariance": "diagonal"},
        {"membership": "~ income", "common": "~ x2", "unit_weights": "n", "trust": True},
        {"covariance_by": "shared", "n_components": 5},
    ],
)
def test_commands_say_the_whole_model(changes: dict[str, Any]) -> None:
    from mixcompare.cli.arguments import of_model

    built: list[mc.MixtureSpec] = []

    def keep(model: Callable[[int], mc.MixtureSpec], **others: Any) -> None:
        built.append(model(others["components"]))

    spec = SPEC.but(**changes)
    typed = parsed(command(spec, 7, {"em": {"starts": 5}, "pymc": {"target_accept": 0.95}}))
    of_model()(keep)(**typed)
    assert built == [spec]
    assert typed["trust"] is spec.trust
    assert (typed["seed"], typed["starts"], typed["target_accept"]) == (7, 5, 0.95)
    assert eval(spec_code(spec), {"mc": mc}) == spec


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (SPEC.but(priors=mc.Priors(concentration=3.0)), {}),
        (SPEC, {"em": {"estimator": "map"}}),
        (SPEC, {"pymc": {"ordered_by": "weights"}}),
    ],
)
def test_what_no_command_takes_has_none(spec: mc.MixtureSpec, options: dict[str, Any]) -> None:
    assert command(spec, 1, options) == ""


def remedy(reason: str, headline: str) -> Remedy:
    return Remedy(REASONS[reason], headline, "", "", {}, "em")


def concluded(lines: list[tuple[str, str, str]], *failed: Remedy) -> str:
    return conclude(pd.DataFrame(lines, columns=["section", "verdict", "reason"]), failed)


def test_a_conclusion_names_culprits_first_and_their_sections_not_again() -> None:
    lines = [
        ("EM optimum", "differ", "EM stopped at a worse optimum"),
        ("estimates", "differ", "EM stopped at a worse optimum"),
        ("likelihoods", "differ", "prior pull"),
        ("MCMC convergence", "caution", "not converged"),
        ("standard errors", "caution", "rows that depend on one another"),
        ("model fit", "not judged", "not converged"),
    ]
    missed = remedy("EM stopped at a worse optimum", "EM missed a maximum 12.3 higher")
    short = remedy("not converged", "the chains are too short (R-hat 1.03, ESS 90)")
    assert concluded(lines, missed, short) == (
        "EM and MCMC differ: EM missed a maximum 12.3 higher. They also differ in likelihoods "
        "(prior pull). The chains are too short (R-hat 1.03, ESS 90). Caution on standard errors "
        "(rows that depend on one another). Not judged: model fit."
    )
    assert concluded(lines[3:], short) == (
        "EM and MCMC do not contradict each other, but the chains are too short (R-hat 1.03, ESS "
        "90). Caution on standard errors (rows that depend on one another). Not judged: model fit."
    )
