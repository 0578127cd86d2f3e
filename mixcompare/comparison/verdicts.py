"""The rules by which evidence becomes a verdict, all in one place.

Every rule reads numbers that the report shows, compares them with a threshold that the
user can set, and gives one of

``agree``
    the backends tell the same story;
``caution``
    nothing contradicts that, but the evidence is too weak to rely on;
``differ``
    they do not, with the likeliest reason.

The rules themselves are in `rules_searches`, `rules_agreement` and `rules_model`, the causes that
they give in `reasons`, and every threshold in `mixcompare.comparison.evidence.Thresholds`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import pandas as pd

from mixcompare.comparison import rules_agreement, rules_model, rules_searches
from mixcompare.comparison.evidence import Evidence, Verdict

type Rule = Callable[[Evidence], Verdict]

_RULES: Final[tuple[Rule, ...]] = (
    rules_searches.judge_identity,
    rules_searches.judge_optimum,
    rules_searches.judge_convergence,
    rules_searches.judge_modes,
    rules_agreement.judge_estimates,
    rules_model.judge_prior,
    rules_agreement.judge_likelihoods,
    rules_model.judge_fit,
    rules_agreement.judge_membership,
    rules_model.judge_errors,
    rules_searches.judge_switching,
)


def judge(evidence: Evidence) -> pd.DataFrame:
    """Apply every rule; columns section, verdict, reason, statement."""
    rules = [*_RULES]
    if evidence.too_short.empty:  # units of one row
        rules.remove(rules_model.judge_errors)
    if evidence.fits("mode"):
        rules.append(rules_agreement.judge_posterior_mode)
    if evidence.fits("further posterior"):
        rules.append(rules_agreement.judge_other_posteriors)
    return pd.DataFrame([asdict(rule(evidence)) for rule in rules])


def conclude(verdicts: pd.DataFrame) -> str:
    """All verdicts in one sentence, differences before cautions.

    Parameters
    ----------
    verdicts
        As `judge` gives them.
    """
    differ = verdicts[verdicts["verdict"] == "differ"]
    caution = verdicts[verdicts["verdict"] == "caution"]
    if len(differ):
        further = f" Caution on {_listing(caution)}." if len(caution) else ""
        return f"EM and MCMC differ in {_listing(differ)}.{further}"
    if len(caution):
        return f"EM and MCMC do not contradict each other; caution on {_listing(caution)}."
    return "EM and MCMC agree in every section."


def _listing(verdicts: pd.DataFrame) -> str:
    """Sections by their reasons, each of which is named once."""
    by_reason: dict[str, list[str]] = {}
    for section, reason in zip(verdicts["section"], verdicts["reason"], strict=True):
        by_reason.setdefault(reason, []).append(section)
    parts = []
    for reason, (*first, last) in by_reason.items():
        sections = f"{', '.join(first)} and {last}" if first else last
        parts.append(f"{sections} ({reason})" if reason else sections)
    return "; ".join(parts)
