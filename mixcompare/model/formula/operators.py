"""What signs between terms mean, where formulaic would do nothing in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from formulaic.parser import DefaultOperatorResolver
from formulaic.parser.types import Factor, Operator, Term

from mixcompare.model.formula.python import NotAllowedError

# Products of terms that a power may make.
_MOST_PRODUCTS: Final = 10_000


class Operators(DefaultOperatorResolver):  # type: ignore[misc]  # formulaic exports no types
    """formulaic's operators, which refuse what would leave the formula as if it were not there.

    Signs between terms are those of Wilkinson & Rogers (1973): they cross, nest and remove
    terms. A term crossed with itself is itself, so that ``t**2`` would be ``t``.
    """

    @property
    def operators(self) -> list[Operator]:
        """As formulaic's."""
        made: list[Operator] = super().operators
        for one in made:
            check = _CHECKS.get((one.symbol, one.arity))
            if check is not None:
                one._to_terms = _checked(check, one._to_terms)
        return made


def _checked(check: Callable[..., None], to_terms: Any) -> Callable[..., Any]:
    def checked(*arguments: Any) -> Any:
        check(*arguments)
        return to_terms(*arguments)

    return checked


def _check_power(terms: Iterable[Term], power: Iterable[Term]) -> None:
    base, exponent = _apart(terms), next(iter(power), None)
    text = str(exponent)
    if not text.isdigit():
        return  # formulaic says that it must be a whole number
    times = int(text) if len(text) < 4 else 1000
    if len(base) == 1 and times > 1:
        raise _same(f"{base[0]}**{text}", base[0], f"I({_product(base[0])}**{text})")
    if len(base) > 1:
        _check_products(f"**{text}", len(base) ** times)


def _check_products(written: str, count: int) -> None:
    if count > _MOST_PRODUCTS:
        raise NotAllowedError(
            written,
            f"which crosses terms in more than {_MOST_PRODUCTS} ways. Write the crossings that are "
            "wanted",
            by_trust=False,
        )


def _check_crossing(left: Iterable[Term], right: Iterable[Term]) -> None:
    one, other = _apart(left), _apart(right)
    _check_products("*", len(one) * len(other))
    if len(one) == len(other) == 1 and one[0] == other[0]:
        raise _same(f"{one[0]} * {other[0]}", one[0], f"I({_product(one[0])}**2)")


def _check_interaction(left: Iterable[Term], right: Iterable[Term]) -> None:
    one, other = _apart(left), _apart(right)
    _check_products(":", len(one) * len(other))
    if len(one) == len(other) == 1:
        both = [f for f in one[0].factors if f in other[0].factors and not _is_number(f)]
        if both:
            raise _same(f"{one[0]}:{other[0]}", Term(both), f"I({_product(Term(both))}**2)")


def _check_difference(left: Iterable[Term], right: Iterable[Term]) -> None:
    there = [*left]
    absent = [term for term in _apart(right) if term not in there]
    if absent:
        before = next((str(term) for term in reversed(_apart(there))), "z")
        raise NotAllowedError(
            f"- {absent[0]}",
            f"which takes away a term that is not among those before it. Write "
            f"I({before} - {absent[0]}) for a difference, I(-{absent[0]}) for the negative",
            by_trust=False,
        )


def _apart(terms: Iterable[Term]) -> Sequence[Term]:
    """Terms but for constants."""
    return [term for term in terms if not all(map(_is_number, term.factors))]


def _is_number(factor: Factor) -> bool:
    return factor.eval_method is Factor.EvalMethod.LITERAL


def _product(term: Term) -> str:
    text = " * ".join(map(str, term.factors))
    return f"({text})" if len(term.factors) > 1 else text


def _same(written: str, term: Term, power: str) -> NotAllowedError:
    return NotAllowedError(
        written,
        f"which is the term {term} again: signs between terms cross them and are no arithmetic. "
        f"Write {power} for the power of a number, or leave it out",
        by_trust=False,
    )


_CHECKS: Final[dict[tuple[str, int], Callable[..., None]]] = {
    ("**", 2): _check_power,
    ("^", 2): _check_power,
    ("*", 2): _check_crossing,
    (":", 2): _check_interaction,
    ("-", 2): _check_difference,
    ("-", 1): lambda terms: _check_difference((), terms),
}
