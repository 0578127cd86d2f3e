"""The words of verdicts and their reasons: what each means and what is to be done about it.

The manual's tables, ``docs/verdicts.md``, are these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mixcompare.checking.sensitivity import CONFLICT, STRONG

type Word = Literal["agree", "ok", "caution", "differ", "not judged"]

MANUAL: Final = "docs/verdicts.md"


@dataclass(frozen=True, slots=True)
class Entry:
    """A word of the verdicts, or a reason that they give.

    Attributes
    ----------
    name
        As verdicts write it.
    meaning, remedy
        What it says, and what to do about it: whole sentences.
    """

    name: str
    meaning: str
    remedy: str


WORDS: Final[tuple[Entry, ...]] = (
    Entry(
        "agree",
        "Two programs were compared, and they tell the same story.",
        "None is needed.",
    ),
    Entry(
        "ok",
        "One program, or the model, was judged by itself, and nothing speaks against it.",
        "None is needed.",
    ),
    Entry(
        "caution",
        "Nothing contradicts the other program, but the evidence is too weak to rely on.",
        "That of the reason beside it.",
    ),
    Entry(
        "differ",
        "Two programs, or chains of one, contradict each other.",
        "That of the reason beside it.",
    ),
    Entry(
        "not judged",
        "The draws that would be judged cannot be relied on, so that no figure is given.",
        "Mend the draws first, by the reason beside it, and compare again.",
    ),
)

IDENTITY: Final = Entry(
    "the backends compute different likelihoods",
    "At the same parameters the two programs give different log-likelihoods: one is wrong.",
    "Use neither result. Report it with the page's provenance.json.",
)
WORSE_OPTIMUM: Final = Entry(
    "EM stopped at a worse optimum",
    "A draw, or the mode that one climbs to, lies above EM's maximum.",
    "Run EM with more starts (starts=) and from the higher point (initial=).",
)
FEW_STARTS: Final = Entry(
    "few starts at the best optimum",
    "Too few of EM's starts have reached its best optimum to believe that there is no better one.",
    "Run EM with more starts (starts=).",
)
UNFINISHED: Final = Entry(
    "EM not converged",
    "EM has stopped before its log-likelihood did, or could not go on.",
    "Allow more iterations (max_iterations=).",
)
SADDLE: Final = Entry(
    "saddle point",
    "EM stopped where the likelihood rises on in some direction: its estimate is no maximum.",
    "Run EM with more starts, ask for fewer classes, or take the posterior's mode "
    "(estimator='map').",
)
SPURIOUS: Final = Entry(
    "spurious maximum",
    "The highest maximum is a class of a few rows that are close together by chance.",
    "Ask for fewer classes, let them share a covariance (covariance_by='shared'), or take the "
    "posterior's mode (estimator='map').",
)
UNBOUNDED: Final = Entry(
    "unbounded likelihood near a draw",
    "From a draw EM shrinks a class onto a few rows, where the likelihood has no maximum.",
    "Ask for fewer classes, let them share a covariance (covariance_by='shared'), or take the "
    "posterior's mode (estimator='map').",
)
SEPARATION: Final = Entry(
    "separation",
    "Membership covariates separate classes, so that EM's log-odds run off to infinity, where the "
    "prior holds the posterior's.",
    "Compare the posterior's mode (estimator='map'), or leave the covariate out.",
)
MISSED_MODE: Final = Entry(
    "chains missed a higher mode",
    "EM's estimate has a posterior density further above every draw than draws around it would "
    "leave: the chains have not been there.",
    "Start chains where a search finds maxima (init='search'), or near EM's estimate (init='em', "
    "initial=em).",
)
MODES: Final = Entry(
    "chains in different modes",
    "Chains disagree on what no relabelling can change: each describes a mode of its own, and "
    "their mean describes none.",
    "Start chains where a search finds maxima (init='search'), or take a sampler that crosses "
    "between modes (sampler='smc').",
)
UNVISITED: Final = Entry(
    "no draw belongs to EM's mode",
    "From no draw EM climbs to its own estimate: the programs describe different modes.",
    "Start chains near EM's estimate (init='em', initial=em): where they stay, it is a mode of "
    "the posterior.",
)
LITTLE_MASS: Final = Entry(
    "little of the posterior at EM's mode",
    "The sampler's search has found EM's mode, and by Laplace's approximation less than a "
    "thousandth of the posterior is there.",
    "Report the posterior, or compare EM's mode of it (estimator='map'): the likelihood is highest "
    "where little of the posterior is.",
)
MISSED_BY_SEARCH: Final = Entry(
    "the sampler's search missed EM's optimum",
    "EM's estimate has a higher posterior density than every maximum that the sampler's own search "
    "has found.",
    "Let the search climb from more points (climbs=).",
)
OTHER_BEST: Final = Entry(
    "another best optimum under the prior",
    "No climb of the sampler's search leads to EM's best optimum, which has a lower posterior "
    "density than another.",
    "Compare EM's mode of the posterior as well (estimator='map').",
)
SEVERAL: Final = Entry(
    "several modes",
    "Draws belong to several modes, on whose shares the chains agree. The posterior's mean lies "
    "between them.",
    "Describe the modes one by one, ask for fewer classes, or give priors that tell them apart.",
)
UNCLIMBED: Final = Entry(
    "EM converged from no draw",
    "EM did not converge from any draw, so that their modes are not known.",
    "Ask for fewer classes: a class empties or shrinks on the way.",
)
NOT_CONVERGED: Final = Entry(
    "not converged",
    "R-hat is too large or effective draws are too few: the chains are too short to rely on.",
    "Sample longer (draws=, tune=).",
)
DIVERGENT: Final = Entry(
    "divergent transitions",
    "The sampler could not follow the posterior's curvature in places, which the draws may leave "
    "out.",
    "Take smaller steps (target_accept=), or give tighter priors.",
)
APPROXIMATE: Final = Entry(
    "draws from an approximation",
    "The draws are of an approximation of the posterior, and nothing shows how good it is.",
    "Sample the posterior itself (sampler='nutpie').",
)
ORDERED: Final = Entry(
    "ordering constraint",
    "Classes that overlap in what numbers them are mixed up by it.",
    "Align the draws instead (without ordered_by=).",
)
SAMPLERS: Final = Entry(
    "samplers disagree",
    "Posteriors that have all converged have different means: a sampler is wrong or missed a mode.",
    "Sample each longer, and look at their modes one by one.",
)
PRIOR: Final = Entry(
    "prior pull",
    "The prior moves the posterior off the maximum of the likelihood, by as much as they differ.",
    "If that is not wanted, weaken the prior, or centre covariates that lie far from zero.",
)
SKEWED: Final = Entry(
    "skewed posterior",
    "The posterior's mean is not near its mode, as where data are few: both programs may be right.",
    "Report medians and intervals of the posterior. EM's standard errors do not hold here.",
)
UNKNOWN: Final = Entry(
    "unknown",
    "EM has no standard errors, so that the prior's pull cannot be told from the rest.",
    "Compare EM's mode of the posterior as well (estimator='map').",
)
OVERLAP: Final = Entry(
    "overlapping classes",
    "Units between classes are put into one or the other by small differences of the estimates.",
    "Use class probabilities, not the classes themselves.",
)
PRIOR_CONFLICT: Final = Entry(
    CONFLICT,
    "Parameters move with the prior and with the data: the two pull in different directions.",
    "Look at the prior that is named, and widen it or centre it better.",
)
STRONG_PRIOR: Final = Entry(
    STRONG,
    "Parameters move with the prior, and the data say little of them.",
    "Report them as the prior's, or collect more data.",
)
UNLIKE: Final = Entry(
    "data unlike the model's",
    "Data replicated from the posterior differ from those observed in more than chance explains.",
    "Change the formula, the covariance or the number of classes.",
)
DEPENDENT: Final = Entry(
    "rows that depend on one another",
    "Sandwich standard errors are much larger than the model's: intervals of both programs are "
    "too short.",
    "Report EM's sandwich errors (standard_errors='sandwich').",
)

REASONS: Final[dict[str, Entry]] = {
    reason.name: reason
    for reason in (
        *(IDENTITY, WORSE_OPTIMUM, FEW_STARTS, UNFINISHED, SADDLE, SPURIOUS, UNBOUNDED),
        *(SEPARATION, MISSED_BY_SEARCH, OTHER_BEST, MISSED_MODE, MODES, UNVISITED, LITTLE_MASS),
        *(SEVERAL, UNCLIMBED, NOT_CONVERGED),
        *(DIVERGENT, APPROXIMATE, ORDERED, SAMPLERS, PRIOR, SKEWED, UNKNOWN, OVERLAP),
        *(PRIOR_CONFLICT, STRONG_PRIOR, UNLIKE, DEPENDENT),
    )
}
"""Reasons by name, in the order of the manual."""
