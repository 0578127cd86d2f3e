"""Which figures a study's report has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from mixcompare.fits.kinds import OPTIMA
from mixcompare.fits.summary import LEVEL
from mixcompare.pages.rendering import Drawing
from mixcompare.study.report.contents import Findings
from mixcompare.study.report.performance_figures import against_factor, lollipop, nested_loop
from mixcompare.study.report.rank_figures import rank_histograms
from mixcompare.study.report.replicate_figures import bland_altman, paired_differences, zip_plot

_LOLLIPOPS: Final = ("bias", "empirical_se", "model_se_error", "coverage")
_AGAINST: Final = ("bias", "coverage")
_OF_FITS: Final = ("adjusted_rand_index", "best_optimum_found", "all_chains_at_best")
# With more scenarios a nested-loop plot is easier to read than anything else.
_LOOP_FROM: Final = 4


def drawings(findings: Findings) -> dict[str, Drawing]:
    """Every figure by its name; none without a truth."""
    performance = findings.measures["performance"]
    if findings.focus is None or performance.empty:
        return {}
    focus = findings.focus
    of_focus = performance[(performance["sample"] == "all") & (performance["estimand"] == focus)]
    if of_focus.empty:
        return {}
    methods = [m for m in findings.methods if m in set(of_focus["method"])]
    factors = {s.label: s.factors for s in findings.study.scenarios if s.factors}
    ranked = [m for m in methods if m in set(findings.ranks["method"])]
    made = [rank_histograms(findings.ranks, ranked)] if ranked else []
    made.append(lollipop(of_focus, methods, focus, _LOLLIPOPS))
    if factors:
        made.append(against_factor(of_focus, factors, methods, _AGAINST, f"estimating {focus}"))
        made += _of_fits(findings)
    several = len({name for levels in factors.values() for name in levels}) > 1
    if several and len(factors) >= _LOOP_FROM:
        loops = ("mse", "coverage")
        made += [nested_loop(of_focus, factors, methods, m, f" of {focus}") for m in loops]
        made += _loop_of_chains(findings, factors)
    made.append(zip_plot(findings.estimates, methods, focus, _worst(of_focus)))
    made += _pairs(findings, methods, focus)
    return {drawing.name: drawing for drawing in made}


def _of_fits(findings: Findings) -> list[Drawing]:
    """Classification, and optima where several EM methods can be compared."""
    fits = findings.measures["fits"]
    fits = fits[fits["sample"] == "all"]
    measures = [m for m in _OF_FITS if m in set(fits["measure"])]
    factors = {s.label: s.factors for s in findings.study.scenarios}
    if not measures:
        return []
    return [against_factor(fits, factors, findings.methods, measures, "classes and optima")]


def _loop_of_chains(findings: Findings, factors: Mapping[str, Mapping[str, Any]]) -> list[Drawing]:
    """Where chains reach the best mode that is known; nothing without chains."""
    fits, measure = findings.measures["fits"], "all_chains_at_best"
    reached = fits[(fits["sample"] == "all") & (fits["measure"] == measure)]
    methods = [name for name in findings.methods if name in set(reached["method"])]
    return [nested_loop(reached, factors, methods, measure)] if methods else []


def _worst(performance: pd.DataFrame) -> str:
    """The scenario in which a method's coverage is farthest from what it claims."""
    coverage = performance[performance["measure"] == "coverage"].dropna(subset=["value"])
    if coverage.empty:
        return str(performance["scenario"].iloc[0])
    distance = (coverage["value"] - LEVEL).abs().to_numpy()
    return str(coverage["scenario"].iloc[int(distance.argmax())])


def _pairs(findings: Findings, methods: list[str], focus: str) -> list[Drawing]:
    baseline = findings.baseline if findings.baseline in methods else methods[0]
    if len(methods) < 2:
        return []
    made = [paired_differences(findings.estimates, methods, baseline, focus)]
    em = [name for name in methods if findings.study.methods[name].kind in OPTIMA]
    posterior = [name for name in methods if name not in em]
    reference = baseline if baseline in em else next(iter(em), baseline)
    first, second = (reference, posterior[0]) if em and posterior else _last_two(methods, baseline)
    return [*made, bland_altman(findings.estimates, first, second, focus)]


def _last_two(methods: list[str], baseline: str) -> tuple[str, str]:
    return baseline, next(name for name in reversed(methods) if name != baseline)
