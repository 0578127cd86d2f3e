"""Checks of single arguments: each names the argument, what is allowed and what was given."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from operator import index
from typing import Any

from mixcompare.base.errors import MixCompareError, OptionError
from mixcompare.base.suggest import did_you_mean

type ErrorType = type[MixCompareError]


def check_whole(
    name: str,
    value: object,
    lowest: int = 1,
    highest: int | None = None,
    *,
    error: ErrorType = OptionError,
) -> int:
    """A whole number as a Python integer; NumPy's are whole too, truth values are not.

    Parameters
    ----------
    name
        The argument.
    value
        What was given for it.
    lowest, highest
        The range, ends included; without an upper end by default.
    error
        What to raise.

    Raises
    ------
    OptionError
        Or `error`, if it is no whole number or out of range.

    Examples
    --------
    >>> check_whole("draws", 5)
    5
    >>> check_whole("draws", 0)
    Traceback (most recent call last):
    mixcompare.base.errors.OptionError: draws must be a whole number of at least 1, not 0.
    """
    number = _index(value)
    if number is not None and number >= lowest and (highest is None or number <= highest):
        return number
    span = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest:,}"
    raise error(f"{name} must be a whole number {span}, not {value!r}.")


def check_number(
    name: str,
    value: object,
    allowed: Callable[[float], bool] = lambda _: True,
    wanted: str = "a finite number",
    *,
    error: ErrorType = OptionError,
) -> float:
    """A number as a Python float.

    Parameters
    ----------
    name, value, error
        As in `check_whole`.
    allowed
        Whether a finite number will do.
    wanted
        The same in words, as in ``"between 0 and 1"``.

    Raises
    ------
    OptionError
        Or `error`, if it is no finite number or not allowed.

    Examples
    --------
    >>> check_number("interval", 1.5, lambda x: 0 < x < 1, "between 0 and 1")
    Traceback (most recent call last):
    mixcompare.base.errors.OptionError: interval must be between 0 and 1, not 1.5.
    """
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and allowed(number)):
        raise error(f"{name} must be {wanted}, not {value!r}.")
    return number


def check_positive(name: str, value: object, *, error: ErrorType = OptionError) -> float:
    """A positive number as a Python float; parameters and errors as in `check_number`."""
    return check_number(name, value, lambda x: x > 0, "a positive number", error=error)


def check_choice(
    name: str,
    value: object,
    allowed: Collection[Any],
    *,
    hint: str | None = None,
    error: ErrorType = OptionError,
) -> None:
    """Refuse what is none of the allowed values, which the message lists.

    Parameters
    ----------
    name, value, error
        As in `check_whole`.
    allowed
        The values, in the order of the message.
    hint
        What to write instead, with a leading space; by default a near miss if there is one.

    Raises
    ------
    OptionError
        Or `error`, if it is none of them.

    Examples
    --------
    >>> check_choice("kind", "unit", ("units", "parametric"))
    Traceback (most recent call last):
    mixcompare.base.errors.OptionError: kind must be one of units, parametric, not 'unit' \
(did you mean 'units'?).
    """
    if value not in tuple(allowed):
        hint = did_you_mean(str(value), allowed) if hint is None else hint
        listed = ", ".join(map(str, allowed))
        raise error(f"{name} must be one of {listed}, not {value!r}{hint}.")


def check_seed(seed: object) -> None:
    """Refuse a root of random numbers that a saved fit could not hold.

    Raises
    ------
    OptionError
        If it is no whole number from 0 to below 2^63.
    """
    number = _index(seed)
    if number is None or not 0 <= number < 2**63:
        raise OptionError(
            f"seed must be a whole number that is not negative and below 2^63, not {seed!r}."
        )


def _index(value: object) -> int | None:
    """The integer that a value is, None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return None
