"""The rules by which evidence becomes a verdict, all in one place.

Every rule reads numbers that the report shows, compares them with a threshold that the
user can set, and gives one of

``agree``
    two programs were compared, and they tell the same story;
``ok``
    one program, or the model, was judged by itself, and nothing speaks against it;
``caution``
    nothing contradicts that, but the evidence is too weak to rely on;
``differ``
    two programs, or chains of one, contradict each other, with the likeliest reason;
``not judged``
    the draws cannot be relied on, so that no figure is given.

Two programs are compared by the rules on the likelihood's identity (the same parameters scored by
both), searches (EM's starts, and the sampler's own climbs), modes (where draws climb to, and EM's
optimum), estimates, likelihoods, class membership, the posterior's mode (EM's, and the posterior's
mean) and other posteriors (several samplers): these say ``agree``. One is judged by those on EM's
optimum (its starts, which draws can only refute), MCMC convergence (its chains), label switching
(the draws' labels), prior sensitivity and model fit (the posterior's draws), and standard errors
(EM's two kinds): these say ``ok``. Label switching, prior sensitivity and model fit are of the
draws alone, and are not judged where `Evidence.unreliable` says why nothing is to be concluded from
these; a comparison that such draws do not contradict is a ``caution``.

The rules themselves are in `rules_searches`, `rules_agreement` and `rules_model`, the causes that
they give in `reasons`, what words and causes mean in `glossary`, what to run in `remedies`, and
every threshold in `mixcompare.comparison.evidence.Thresholds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd

from mixcompare.base.words import listing
from mixcompare.comparison import rules_agreement, rules_model, rules_searches
from mixcompare.comparison.evidence import Evidence, Verdict
from mixcompare.comparison.remedies import Remedy

type Rule = Callable[[Evidence], Verdict]

_RULES: Final[tuple[Rule, ...]] = (
    rules_searches.judge_identity,
    rules_searches.judge_optimum,
    rules_searches.judge_searches,
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
    """Apply every rule; columns section, verdict, reason (empty where all is well), statement."""
    rules = [*_RULES]
    if evidence.too_short.empty:  # units of one row
        rules.remove(rules_model.judge_errors)
    if evidence.searches is None:
        rules.remove(rules_searches.judge_searches)
    if evidence.fits("mode"):
        rules.append(rules_agreement.judge_posterior_mode)
    if evidence.fits("further posterior"):
        rules.append(rules_agreement.judge_other_posteriors)
    verdicts = (rule(evidence) for rule in rules)
    rows = [
        (v.section, v.verdict, v.reason.name if v.reason else "", v.statement) for v in verdicts
    ]
    return pd.DataFrame(rows, columns=["section", "verdict", "reason", "statement"])


def conclude(verdicts: pd.DataFrame, remedies: Sequence[Remedy] = ()) -> str:
    """Which side has failed and by how much, then what else is wrong, in a sentence or two.

    Parameters
    ----------
    verdicts
        As `judge` gives them.
    remedies
        For the sides that have failed. Sections whose verdict has the reason of one are not
        listed.
    """
    of = {word: verdicts[verdicts["verdict"] == word] for word in ("differ", "caution")}
    graver = set(of["differ"]["reason"])
    culprits = " and ".join(r.headline for r in remedies if r.reason.name in graver)
    doubts = " and ".join(r.headline for r in remedies if r.reason.name not in graver)
    said = {remedy.reason.name for remedy in remedies}
    differ, caution = (_listing(some[~some["reason"].isin(said)]) for some in of.values())
    if len(of["differ"]):
        parts = [
            f"EM and MCMC differ: {culprits}" if culprits else f"EM and MCMC differ in {differ}"
        ]
        parts += [f"They also differ in {differ}"] if culprits and differ else []
        parts += [doubts[:1].upper() + doubts[1:]] if doubts else []
        parts += [f"Caution on {caution}"] if caution else []
    elif len(of["caution"]):
        further = f", but {doubts}" if doubts else f"; caution on {caution}"
        parts = [f"EM and MCMC do not contradict each other{further}"]
        parts += [f"Caution on {caution}"] if doubts and caution else []
    else:
        return "EM and MCMC agree in every section."
    omitted = listing(list(verdicts.loc[verdicts["verdict"] == "not judged", "section"]))
    parts += [f"Not judged: {omitted}"] if omitted else []
    return " ".join(f"{part}." for part in parts)


def _listing(verdicts: pd.DataFrame) -> str:
    """Sections by their reasons, each of which is named once."""
    by_reason: dict[str, list[str]] = {}
    for section, reason in zip(verdicts["section"], verdicts["reason"], strict=True):
        by_reason.setdefault(reason, []).append(section)
    return "; ".join(
        f"{listing(sections)} ({reason})" if reason else listing(sections)
        for reason, sections in by_reason.items()
    )
