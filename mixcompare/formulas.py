"""Formulas, checked before there are data."""

from __future__ import annotations

from formulaic import Formula, SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.formula import StructuredFormula
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Term

from mixcompare.errors import SpecificationError

CONSTANT: Term = Formula("1")[0]


def check_formula(formula: object) -> None:
    """Refuse what is not outcomes, one tilde and covariates.

    Raises
    ------
    SpecificationError
        If it is not a text, cannot be parsed or has other parts.
    """
    parsed = _parse("formula", formula)
    sides = parsed._to_dict() if isinstance(parsed, StructuredFormula) else {}
    one_part = all(isinstance(side, SimpleFormula) for side in sides.values())
    if set(sides) != {"lhs", "rhs"} or not one_part:
        raise SpecificationError(
            f"formula {formula!r} must have outcomes, one '~' and covariates, as in 'y ~ x'."
        )


def check_one_sided(name: str, formula: object, *, intercept: bool) -> tuple[Term, ...]:
    """Terms of a formula without outcomes, as in ``"~ x1 + x2"``.

    Parameters
    ----------
    intercept
        Whether a constant belongs to it that is not written.

    Raises
    ------
    SpecificationError
        If it is not a text, cannot be parsed, has outcomes or no terms.
    """
    parsed = _parse(name, formula)
    if not isinstance(parsed, SimpleFormula):
        raise SpecificationError(f"{name} {formula!r} must have one side, as in '~ x1 + x2'.")
    terms = one_sided_terms(str(formula), intercept=intercept)
    if not terms:
        raise SpecificationError(f"{name} {formula!r} names no term. Leave it out.")
    return terms


def one_sided_terms(formula: str, *, intercept: bool) -> tuple[Term, ...]:
    """Terms of a formula that `check_one_sided` has passed."""
    return tuple(Formula(formula, _parser=DefaultFormulaParser(include_intercept=intercept)))


def _parse(name: str, formula: object) -> Formula:
    if not isinstance(formula, str) or not formula.strip():
        raise SpecificationError(f"{name} must be a non-empty string, not {formula!r}.")
    try:
        parsed = Formula(formula)
        parsed.required_variables  # noqa: B018 (parses the Python inside the terms)
    except (FormulaicError, SyntaxError) as error:
        reason = str(error).splitlines()[0]
        if "Missing operator" in reason:
            reason += " A column's name with spaces in it goes between backticks: `my column`."
        raise SpecificationError(f"{name} {formula!r} cannot be parsed: {reason}") from error
    return parsed
