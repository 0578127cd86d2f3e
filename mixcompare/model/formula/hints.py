"""What to write in a formula in place of what other packages' formulas have."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mixcompare.base.suggest import did_you_mean

_CATEGORIES: Final = "Write C({0}) for categories"
_SMOOTH: Final = "Write cr({0}, df=4), a natural cubic spline, or bs({0}, df=4)"
_OTHER_ROWS: Final = (
    "The rows before and after may be another unit's: make it a column beforehand, as in "
    "data.groupby('unit')['{0}'].shift()"
)
_WHOLE_COLUMN: Final = (
    "It looks at the whole column: write center({0}) or scale({0}), or make it a column beforehand"
)
_RANDOM: Final = (
    "Random effects are not supported: name the column whose rows share a class as unit=..., or "
    "one whose fixed effects are to be removed as absorb=..."
)
_OPTION: Final = "It is no term: name the column as {option}"
_NUMBER: Final = "Make {0} a column of numbers beforehand"
_OF_COLUMNS: Final = "cumsum max mean median min rank sd std sum var".split()  # noqa: SIM905
_CALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("factor", "as.factor", "as_factor", "categorical", "i"), _CATEGORIES),
        **dict.fromkeys(("ns", "s", "te", "ti", "t2", "rcs", "pspline", "smooth"), _SMOOTH),
        **dict.fromkeys(("lag", "lead", "shift", "diff", "L", "D"), _OTHER_ROWS),
        **dict.fromkeys(
            (f"{module}{name}" for name in _OF_COLUMNS for module in ("", "np.")), _WHOLE_COLUMN
        ),
        **dict.fromkeys(("re", "random", "mo", "gp", "us", "ranef"), _RANDOM),
        **dict.fromkeys(("fe", "fixef", "strata"), _OPTION.format(option="absorb")),
        **dict.fromkeys(("cluster", "id", "group"), _OPTION.format(option="unit")),
        **dict.fromkeys(("weights", "aweights", "fweights"), _OPTION.format(option="unit_weights")),
        **dict.fromkeys(("as.numeric", "as.integer", "as.double", "float", "int"), _NUMBER),
        **dict.fromkeys(("as.Date", "year", "month", "np.datetime64"), _NUMBER),
        **dict.fromkeys(("ifelse", "np.where", "if_else", "case_when"), "Write I(({0}) * 1)"),
        **dict.fromkeys(("np.clip", "clip"), "Write np.minimum(np.maximum({0}, low), high)"),
        **dict.fromkeys(("cut", "np.digitize", "pd.cut"), "Make its classes a column beforehand"),
        **dict.fromkeys(("round", "np.round"), "Write np.rint({0})"),
        **dict.fromkeys(("cbind", "c", "mvbind"), "Join outcomes by a plus sign, as in {sum} ~ x"),
        "interaction": "Write {product} for the crossing",
        "ln": "Write log({0})",
        "log()": "Write log2({0}), log10({0}) or I(log({0}) / log(3))",
        "offset": "Offsets are not supported: subtract it from the outcome, as in I(y - {0}) ~ x",
        "ordered": "Write C({0}, contr.poly) for ordered categories",
        "pmax": "Write np.maximum({all})",
        "pmin": "Write np.minimum({all})",
        "pow": "Write I({0}**2)",
        "Q": "A column's name with spaces in it goes between backticks: `my column`",
        "relevel": "Write C({0}, contr.treatment('level')) for another reference",
        "Surv": "Survival times are not supported: outcomes are normal given the class",
    }
)
_METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "abs": "Write np.abs({0})",
        "astype": "Write C({0}) for categories",
        "clip": "Write np.maximum({0}, low) or np.minimum({0}, high)",
        "round": "Write np.rint({0})",
        **dict.fromkeys(("shift", "diff"), _OTHER_ROWS),
        **dict.fromkeys(_OF_COLUMNS, _WHOLE_COLUMN),
    }
)
# Signs between terms that formulas do not know; the first that is found counts.
_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "|": f"where it must have outcomes, one '~' and covariates. {_RANDOM}",
        "$": "which is R's. Name columns alone, as in 'y ~ x', and give their table as the data",
        "<-": "which is R's. Write '~' between outcomes and covariates",
        "%in%": "which is R's. Write g / x for x within g, or I((x == 1) | (x == 2)) for a set",
        **{
            sign: f"which compares. Put it inside I(), as in I(x {sign} 1)"
            for sign in ("==", "!=", "<=", ">=", "<", ">")
        },
        "=": "where '~' stands between outcomes and covariates",
        ",": "where '+' joins terms",
        "&": "which joins conditions. Put them inside I(), as in I((x > 0) & (z > 0))",
        "!": "which negates. Put it inside I(), as in I(x != 0)",
    }
)


def instead_of_call(
    name: str, arguments: Sequence[str] = (), *, known: Collection[str] = ()
) -> str:
    """A sentence after a full stop on a function that formulas do not know.

    Parameters
    ----------
    name
        As it is written, a module's name before it included.
    arguments
        Their texts.
    known
        Functions whose names it may be a slip of.
    """
    hint = _CALLS.get(name)
    if hint is not None:
        return f". {_filled(hint, arguments)}"
    near = did_you_mean(name, known)
    return near or ". Make what it computes a column of the table beforehand"


def instead_of_method(text: str, name: str) -> str:
    """A sentence after a full stop on a column's attribute or method.

    Parameters
    ----------
    text
        As it is written, as in ``x.clip``.
    name
        The attribute's.
    """
    if name in _METHODS:
        return f". {_filled(_METHODS[name], [text.removesuffix(f'.{name}')])}"
    return (
        f". If a column is called so, put its name between backticks: `{text}`; otherwise make "
        "what it computes a column of the table beforehand"
    )


def instead_of_words(text: str) -> str:
    """A sentence on R's functions with dots in their names, which are no Python; or nothing."""
    for name, hint in _CALLS.items():
        call = re.search(rf"(?<![\w.]){re.escape(name)}\(([^()]*)\)", text)
        if "." in name and call:
            return f". {_filled(hint, [part.strip() for part in call[1].split(',')])}."
    return ""


def instead_of_sign(signs: str) -> tuple[str, str] | None:
    """The sign between terms that formulas do not know, and what to say; None if they do."""
    return next((known for known in _SIGNS.items() if known[0] in signs), None)


def _filled(hint: str, arguments: Sequence[str]) -> str:
    first = arguments[0] if arguments else "x"
    return hint.format(
        first,
        all=", ".join(arguments) or "x",
        sum=" + ".join(arguments) or "y1 + y2",
        product=":".join(f"C({argument})" for argument in arguments) or "C(a):C(b)",
    )
