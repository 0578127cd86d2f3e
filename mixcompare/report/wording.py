"""The data and the model in words and as a formula, as markup."""

from __future__ import annotations

from typing import Final

import numpy as np
from markupsafe import Markup

from mixcompare.base.words import listing
from mixcompare.checking.sensitivity import sensitivity_sentence
from mixcompare.comparison import Comparison
from mixcompare.comparison.glossary import MANUAL
from mixcompare.model.covariances import STRUCTURES
from mixcompare.pages.formatting import count, counted, significant
from mixcompare.pages.shell import environment

_MOST_TERMS = 12
MEANINGS: Final = (
    "Two programs agree or differ; one that is judged by itself is ok or a caution. Only words and "
    f"reasons that occur here are listed: the manual has all of them, in {MANUAL}.",
)
LIKELIHOODS: Final = (
    "All constants are in, so the values compare across backends and with other packages. No draw "
    "can beat the maximum unless EM missed it, or passed over a spurious one.",
)
MEMBERSHIP: Final = ("Posterior probabilities are averages over the aligned draws.",)
SWITCHING: Final = (
    "The likelihood does not know one label from another, so draws as sampled may carry any "
    "labelling; R-hat before alignment then says nothing about convergence. What still disagrees "
    "after alignment is real multimodality or a chain that is too short.",
)
MODES: Final = (
    "A draw belongs to the optimum that EM climbs to from it. Copies of one optimum under other "
    "labels count as one, so several rows are several modes of the likelihood, whatever the "
    "labels. A small gap and a small distance mean that two are hardly different fits. From draws "
    "of no mode EM did not converge, mostly because a class emptied.",
)
_RUNS: Final = (
    "The same likelihood, climbed from other starts or stopped by other rules. A start that ends "
    "lower has found a local optimum; a rule that stops early leaves the estimate short of the "
    "maximum and of a zero score, by the amounts shown.",
)


_RULES: Final = {
    "aitken": "the log-likelihood still to be gained, by Aitken's estimate and relative to it",
    "log_likelihood": "the last gain of the log-likelihood, relative to it",
    "q": "the last change of the expected complete-data log-likelihood Q, relative to it",
    "parameters": "the largest change of a parameter, in whitened units",
}


def starts_intro(comparison: Comparison) -> tuple[str, ...]:
    """How the best start ended, what its stopping rule measures, and the sampler's own search."""
    em = comparison.em
    rule = em.options["criterion"]
    said = f"EM: {em.message}. The {rule.replace('_', ' ')} criterion is {_RULES[rule]}."
    return (said,) if comparison.searches.empty else (said, finding(comparison, "searches"))


def runs_intro(comparison: Comparison) -> tuple[str, ...]:
    """What several runs of EM are for, where there are several."""
    return _RUNS if len(comparison.runs) > 1 else ()


def finding(comparison: Comparison, section: str) -> str:
    """What a verdict says, for those who cannot see the figure that shows it."""
    verdicts = comparison.verdicts
    return str(verdicts.loc[verdicts["section"] == section, "statement"].iloc[0])


def default_title(comparison: Comparison) -> str:
    """What the report is called unless the user says otherwise."""
    spec = comparison.em.spec
    classes = "1 class" if spec.n_components == 1 else f"{spec.n_components} classes"
    return f"{spec.formula.strip()}, {classes}: EM and posterior compared"


def model_in_words(comparison: Comparison) -> list[str]:
    """Sentences that say what was fitted."""
    em = comparison.em
    spec, panel = em.spec, em.panel
    outcomes = listing(em.outcome_names)
    k = spec.n_components
    what = "regression" if len(em.covariate_names) > 1 or panel.cell is not None else "distribution"
    unit = f"each {spec.unit}" if spec.unit else "each row"
    differ = "coefficients" if what == "regression" else "means"
    sentences = [
        f"A finite mixture of {k} normal {what}s of {outcomes}: {unit} belongs to one of {k} "
        f"latent classes, and {differ} differ by class."
        if k > 1
        else f"One normal {what} of {outcomes}, a mixture with a single class."
    ]
    if em.common_names and k > 1:
        sentences.append(f"Coefficients of {listing(em.common_names)} are common to all classes.")
    if em.concomitant_names and k > 1:
        sentences.append(
            f"The probability of each class depends on the unit covariates of "
            f"{spec.membership} by a multinomial logit; weights are its averages over the units."
        )
    if panel.unit_weights is not None:
        low, high, total = (getattr(panel.unit_weights, f)() for f in ("min", "max", "sum"))
        sentences.append(
            f"Each unit counts by its weight {spec.unit_weights}, {low:g} to {high:g}, "
            f"{total:g} in all."
        )
    if panel.cell is not None:
        sentences.append(
            f"A fixed effect of each {' \N{MULTIPLICATION SIGN} '.join(spec.absorb or ())} "
            f"({count(panel.cell.max() + 1)} cells) is removed exactly; likelihoods are those of "
            "the rows that are left after it."
        )
    shape = "variance" if len(em.outcome_names) == 1 else f"{spec.covariance} covariance matrix"
    owner = "All classes share one" if spec.covariance_by == "shared" else "Each class has its own"
    sentences.append(
        (f"{owner} {shape}. " if k > 1 else "")
        + f"The model has {em.n_parameters} free parameters."
    )
    return sentences


def data_in_words(comparison: Comparison) -> list[str]:
    """Sentences about rows, units and what was dropped."""
    panel, unit = comparison.em.panel, comparison.em.spec.unit
    per_unit = np.bincount(panel.unit, minlength=panel.n_units)
    if unit is None:
        sentences = [f"{count(panel.n_rows)} rows; every row is its own unit."]
    else:
        low, high = int(per_unit.min()), int(per_unit.max())
        spread = f"{count(low)} each" if low == high else (
            f"{count(low)} to {count(high)} each, median {significant(np.median(per_unit))}"
        )  # fmt: skip
        sentences = [
            f"{count(panel.n_rows)} rows of {count(panel.n_units)} units ({unit}), {spread}."
        ]
    sentences += [f"Caution: {text}" for text in comparison.em.cautions]
    dropped = panel.dropped
    if not dropped.rows:
        return [*sentences, "No row was dropped for missing values."]
    columns = ", ".join(f"{column}: {count(n)}" for column, n in dropped.by_column)
    return [
        *sentences,
        f"{counted(dropped.rows, 'row')} with missing values "
        f"{'was' if dropped.rows == 1 else 'were'} dropped ({columns}), and with them "
        f"{counted(dropped.units, 'whole unit')}.",
    ]


def estimates_intro(comparison: Comparison) -> tuple[str, ...]:
    """How components are numbered, and what is to be known about EM's standard errors."""
    sentences = [
        "Components are numbered by EM from the largest weight to the smallest; the draws were "
        "renumbered to match."
    ]
    missing = comparison.estimates["em_se"].isna()
    if missing.any():
        which = "EM's" if missing.all() else f"{missing.sum()} of EM's"
        verb = "is" if missing.sum() == 1 and not missing.all() else "are"
        sentences.append(f"{which} standard errors {verb} withheld: {comparison.em.errors.reason}.")
    errors = comparison.verdicts[comparison.verdicts["section"] == "standard errors"]
    sentences += [f"Caution: {text}" for text in errors["statement"][errors["verdict"] != "ok"]]
    return tuple(sentences)


def model_formula(comparison: Comparison) -> Markup:
    """The model's lines in HTML."""
    em = comparison.em
    symbol = STRUCTURES[em.spec.covariance].symbol if len(em.outcome_names) > 1 else "σ²{}"
    index = Markup("<sub><i>k</i></sub>") if em.spec.covariance_by == "component" else ""
    template = environment(__package__).get_template("formula.html")
    return Markup(
        template.render(
            em=em,
            spec=em.spec,
            row=Markup("<i>gr</i>") if em.spec.unit else Markup("<i>g</i>"),
            by_class=[name for name in em.covariate_names if name not in em.common_names],
            covariance=Markup(symbol).format(index),
            most_terms=_MOST_TERMS,
        )
    )


def left_out(comparison: Comparison) -> str:
    """What cross-validation by unit says, if the draws can tell."""
    said = comparison.loo.sentence if comparison.judged else finding(comparison, "model fit")
    return f"Cross-validation leaves out one unit at a time. {said}"


def sensitivity(comparison: Comparison) -> str:
    """What moves with the prior, if the draws can tell."""
    if comparison.judged:
        return sensitivity_sentence(comparison.sensitivity)
    return f"How far it moves the posterior: {finding(comparison, 'prior sensitivity')}"


def fit_intro(comparison: Comparison) -> tuple[str]:
    """What replicated data say of the model, if the draws can tell."""
    return (
        "Agreement of two backends is no evidence that their common model fits. "
        + finding(comparison, "model fit"),
    )
