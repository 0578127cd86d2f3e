"""Formulas, checked before there are data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from formulaic import Formula, SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.formula import StructuredFormula
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.algos.sanitize_tokens import sanitize_tokens
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Factor, Term, Token

from mixcompare.base.errors import SpecificationError
from mixcompare.model.formula.hints import instead_of_sign, instead_of_words
from mixcompare.model.formula.operators import Operators
from mixcompare.model.formula.python import NotAllowedError, check_python

CONSTANT: Term = Formula("1")[0]
# What formulaic raises of texts and columns that do not suit it. It is not made for hostile texts:
# an empty name, or brackets without end.
FAILURES: Final = (
    *(FormulaicError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, RuntimeError, MemoryError),
)
# Of a formula in a message, in characters.
_LONGEST: Final = 500
# What looks like a module's or an object's inside.
_PYTHON_NAME: Final = re.compile(r"(np|contr)\.|.*\.__|__\w*__$")
_WAYS: Final = {
    "Missing operator": "A column's name with spaces in it goes between backticks: `my column`.",
    "Numeric literals": "Arithmetic goes inside I(), as in I(2*x).",
    "`.` operator": "Name the covariates, as in 'y ~ x1 + x2'.",
}
_ON_TRUST: Final = (
    "Formulas may hold columns, numbers, texts, arithmetic, comparisons and the functions that "
    "the documentation names; any Python may stand in those whose author you trust: trust=True, "
    "or --trust at the prompt"
)


def both_sides(formula: object, *, intercept: bool = True, trust: bool) -> StructuredFormula:
    """Outcomes and covariates of a formula, which must have these and one tilde.

    Parameters
    ----------
    intercept
        Whether a constant belongs to it that is not written.
    trust
        Whether it may hold any Python.

    Raises
    ------
    SpecificationError
        If it is not a text, cannot be parsed, has other parts or Python that is not allowed.
    """
    parsed = _parse("formula", formula, intercept=intercept, trust=trust)
    sides = parsed._to_dict() if isinstance(parsed, StructuredFormula) else {}
    one_part = all(isinstance(side, SimpleFormula) for side in sides.values())
    if set(sides) != {"lhs", "rhs"} or not one_part:
        raise SpecificationError(
            f"formula {formula!r} must have outcomes, one '~' and covariates, as in 'y ~ x'."
        )
    if str(formula).rstrip().endswith("~"):
        outcomes = str(formula).rstrip(" ~")
        raise SpecificationError(
            f"formula {formula!r} names no covariate: write '{outcomes} ~ 1' for a mean alone."
        )
    return parsed


def one_sided(name: str, formula: object, *, intercept: bool, trust: bool) -> tuple[Term, ...]:
    """Terms of a formula without outcomes, as in ``"~ x1 + x2"``.

    Parameters
    ----------
    intercept
        Whether a constant belongs to it that is not written.
    trust
        Whether it may hold any Python.

    Raises
    ------
    SpecificationError
        If it is not a text, cannot be parsed, has outcomes, no terms, or Python that is not
        allowed.
    """
    parsed = _parse(name, formula, intercept=intercept, trust=trust)
    if not isinstance(parsed, SimpleFormula):
        raise SpecificationError(f"{name} {formula!r} must have one side, as in '~ x1 + x2'.")
    if not parsed:
        raise SpecificationError(f"{name} {formula!r} names no term. Leave it out.")
    return tuple(parsed)


def _parse(name: str, formula: object, *, intercept: bool, trust: bool) -> Formula:
    """The only place where a text becomes something that is evaluated."""
    if not isinstance(formula, str) or not formula.strip():
        raise SpecificationError(f"{name} must be a non-empty string, not {formula!r}.")
    try:
        return _parsed(formula, intercept, trust)
    except NotAllowedError as error:
        ending = f". {_ON_TRUST}." if error.by_trust else "."
        reason = error.reason.removesuffix(".")
        raise SpecificationError(
            f"{name} {_shortened(formula)} has `{error.part}`, {reason}{ending}"
        ) from None
    except FAILURES as error:
        lines = str(error)[:_LONGEST].splitlines() or [type(error).__name__]
        way = next((way for said, way in _WAYS.items() if said in lines[0]), "")
        reason = lines[0].removesuffix(" (<unknown>, line 1)")
        if "`.` operator" in reason:  # formulaic speaks of its own arguments
            reason = "`.` stands for no columns here."
        ways = f" {way}" * bool(way) + instead_of_words(formula)
        said = f"{name} {_shortened(formula)} cannot be parsed: {reason}{ways}"
        # Without characters that a terminal obeys.
        printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)
        raise SpecificationError(printable) from error


def _shortened(formula: str) -> str:
    return repr(formula if len(formula) <= _LONGEST else f"{formula[:_LONGEST]}…")


@lru_cache(maxsize=256)
def _parsed(formula: str, intercept: bool, trust: bool) -> Formula:
    if "``" in formula:
        raise NotAllowedError("``", "which is a name without letters", by_trust=False)
    tokens = list(tokenize(formula))
    _check_signs(tokens)
    tokens = list(sanitize_tokens(tokens))
    # How many tokens are outcomes'; none where there is no tilde.
    tildes = (i for i, token in enumerate(tokens) if _is_sign(token) and "~" in token.token)
    left = next(tildes, 0)
    _check_outcomes(tokens[:left])
    _check_names(tokens, covariates=tokens[left:])
    checked = [token.token for token in tokens if token.kind is Token.Kind.PYTHON and not trust]
    for python in checked:
        check_python(python)
    parser = DefaultFormulaParser(operator_resolver=Operators(), include_intercept=intercept)
    made = Formula(formula, _parser=parser)
    for factor in () if trust else _factors(made):
        if factor.eval_method is Factor.EvalMethod.PYTHON and factor.expr not in checked:
            check_python(factor.expr)
    return made


def _factors(made: Formula) -> Iterator[Factor]:
    sides = made._flatten() if isinstance(made, StructuredFormula) else [made]
    for side in sides:
        for term in side:
            yield from term.factors


def _check_signs(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if _is_sign(token):
            unknown = instead_of_sign("%in%" if token.token == "in" else token.token)
            if unknown is not None:
                raise NotAllowedError(*unknown, by_trust=False)


def _is_sign(token: Token) -> bool:
    return token.kind is Token.Kind.OPERATOR


def _check_outcomes(tokens: Sequence[Token]) -> None:
    """Refuse signs other than + between outcomes: they would drop or multiply outcomes."""
    for token in tokens:
        if _is_sign(token) and token.token.strip("+"):
            source = str(token.source)
            start, end = tokens[0].source_start or 0, tokens[-1].source_end
            text = source[start : None if end is None else end + 1].strip()
            text = text.replace("^", "**").replace(":", " * ")
            raise NotAllowedError(
                token.token,
                "which is no arithmetic on outcomes: they are joined by '+'. Write "
                f"I({text}) ~ ... for one outcome that is computed",
                by_trust=False,
            )


def _check_names(tokens: Sequence[Token], *, covariates: Sequence[Token]) -> None:
    """Refuse columns whose names formulaic takes for something else."""
    named = {token.token for token in tokens if token.kind is Token.Kind.NAME}
    computed = {token.token for token in tokens if token.kind is Token.Kind.PYTHON}
    alone = {token.token for token in covariates if token.kind is Token.Kind.NAME}
    for name in named:
        crossed = ":" in name and set(name.split(":")) <= named | computed
        if name in computed or crossed:
            raise NotAllowedError(
                name, "which is the name of another term, too. Rename the column", by_trust=False
            )
    for token in tokens:
        start = token.source_start or 0
        quoted = str(token.source)[start : start + 1] == "`"
        if token.kind is Token.Kind.NAME and not quoted and _PYTHON_NAME.match(token.token):
            raise NotAllowedError(
                token.token,
                f"which is no column's name. If a column is called so, write `{token.token}` "
                "between backticks",
                by_trust=False,
            )
    if "1" in alone:
        raise NotAllowedError(
            "1",
            "a column with the name of the constant. Rename it, or write I(`1`)",
            by_trust=False,
        )
