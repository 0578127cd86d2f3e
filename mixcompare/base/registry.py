"""Registries of parts that users may add to: a name means one part."""

from __future__ import annotations

from mixcompare.base.errors import MixCompareError, OptionError


def register[T](
    registry: dict[str, T],
    what: str,
    name: str,
    part: T,
    error: type[MixCompareError] = OptionError,
) -> T:
    """Make a part known under a name; the same part may be made known again.

    Parameters
    ----------
    registry
        Parts by name.
    what
        What messages call such a part.
    name, part
        What is added.
    error
        Raised in place of `OptionError`.

    Raises
    ------
    OptionError
        Or `error`, if another part has the name.

    Examples
    --------
    >>> register({"a": 1}, "letter", "a", 2)
    Traceback (most recent call last):
    mixcompare.base.errors.OptionError: there is another letter 'a'. Give yours a name of its own.
    """
    if registry.setdefault(name, part) != part:
        raise error(f"there is another {what} {name!r}. Give yours a name of its own.")
    return part
