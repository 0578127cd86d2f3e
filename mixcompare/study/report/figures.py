"""Which figures a study's report has."""

from __future__ import annotations

from typing import Final

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
_OF_FITS: Final = ("adjusted_rand_index", "best_optimum_found")
# With more scenarios a nested-loop plot is easier to read than anything else.
_LOOP_FROM: Final = 4


def drawings(found: Findings) -> dict[str, Drawing]:
    """Every figure by its name; none without a truth."""
    performance = found.measures["performance"]
    if found.focus is None or performance.empty:
        return {}
    focus = found.focus
    shown = performance[(performance["sample"] == "all") & (performance["estimand"] == focus)]
    if shown.empty:
        return {}
    methods = [m for m in found.methods if m in set(shown["method"])]
    factors = {s.label: s.factors for s in found.study.scenarios if s.factors}
    ranked = [m for m in methods if m in set(found.ranks["method"])]
    made = [rank_histograms(found.ranks, ranked)] if ranked else []
    made.append(lollipop(shown, methods, focus, _LOLLIPOPS))
    if factors:
        made.append(against_factor(shown, factors, methods, _AGAINST, f"estimating {focus}"))
        made += _of_fits(found)
    several = len({name for own in factors.values() for name in own}) > 1
    if several and len(factors) >= _LOOP_FROM:
        made += [nested_loop(shown, factors, methods, focus, m) for m in ("mse", "coverage")]
    made.append(zip_plot(found.estimates, methods, focus, _worst(shown)))
    made += _pairs(found, methods, focus)
    return {drawing.name: drawing for drawing in made}


def _of_fits(found: Findings) -> list[Drawing]:
    """Classification, and optima where several EM methods can be compared."""
    fits = found.measures["fits"]
    fits = fits[fits["sample"] == "all"]
    measures = [m for m in _OF_FITS if m in set(fits["measure"])]
    factors = {s.label: s.factors for s in found.study.scenarios}
    if not measures:
        return []
    return [against_factor(fits, factors, found.methods, measures, "classes and optima")]


def _worst(shown: pd.DataFrame) -> str:
    """The scenario in which a method's coverage is farthest from what it claims."""
    coverage = shown[shown["measure"] == "coverage"].dropna(subset=["value"])
    if coverage.empty:
        return str(shown["scenario"].iloc[0])
    distance = (coverage["value"] - LEVEL).abs().to_numpy()
    return str(coverage["scenario"].iloc[int(distance.argmax())])


def _pairs(found: Findings, methods: list[str], focus: str) -> list[Drawing]:
    baseline = found.baseline if found.baseline in methods else methods[0]
    if len(methods) < 2:
        return []
    made = [paired_differences(found.estimates, methods, baseline, focus)]
    em = [name for name in methods if found.study.methods[name].kind in OPTIMA]
    posterior = [name for name in methods if name not in em]
    chosen = baseline if baseline in em else next(iter(em), baseline)
    first, second = (chosen, posterior[0]) if em and posterior else _last_two(methods, baseline)
    return [*made, bland_altman(found.estimates, first, second, focus)]


def _last_two(methods: list[str], baseline: str) -> tuple[str, str]:
    return baseline, next(name for name in reversed(methods) if name != baseline)
