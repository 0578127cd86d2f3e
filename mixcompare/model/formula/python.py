"""The Python that a formula may hold, and the names that it is evaluated with.

formulaic evaluates what stands inside ``log(...)``, ``I(...)`` or ``{...}`` as Python. A formula
may come from a file of somebody else's, so it is held against a list of what is allowed before
formulaic sees it; the names of everything else are taken away where it is evaluated.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

import numpy as np
from formulaic.transforms import TRANSFORMS
from formulaic.utils.code import sanitize_variable_names

from mixcompare.model.formula.hints import instead_of_call, instead_of_method

UFUNCS: Final = {name: made for name, made in vars(np).items() if isinstance(made, np.ufunc)}
_CONSTANTS: Final = {"pi": np.pi, "e": np.e}
_CONTRASTS: Final = frozenset({"SAS", "custom", "diff", "helmert", "poly", "sum", "treatment"})
_AS_CLASSES: Final = frozenset({"Diff", "Helmert", "Poly", "Sum", "Treatment"})
_FUNCTIONS: Final = frozenset(
    {"C", "I", "bs", "cc", "center", "cr", "cs", "hashed", "poly", "scale", "standardize"}
    | {"exp", "exp10", "exp2", "log", "log10", "log2"}
    | _AS_CLASSES
)
# Keywords whose values are functions, or that formulaic keeps for itself.
_NO_KEYWORDS: Final = frozenset({"hash_func"})
# How many columns an argument asks for; larger ones would only fill the memory.
_COUNTS: Final = frozenset({"df", "degree", "levels"})
_MOST_COLUMNS: Final = 1000

_Numbers = Callable[[Any, Any], Any]
_ARITHMETIC: Final[Mapping[type[ast.operator], _Numbers]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: operator.pow,
        **dict.fromkeys((ast.BitAnd, ast.BitOr), lambda *_: math.nan),
    }
)
_COMPARISONS: Final = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_WORDS: Final[Mapping[type[ast.AST], str]] = MappingProxyType(
    {
        ast.Await: "an await",
        ast.BoolOp: "an 'and' or 'or': write & or |, with brackets around what they join",
        ast.Dict: "a dictionary that is no argument of C()",
        **dict.fromkeys(
            (ast.DictComp, ast.GeneratorExp, ast.ListComp, ast.SetComp), "a comprehension"
        ),
        ast.IfExp: "an 'if': write a comparison, as in I((x > 0) * 1)",
        ast.JoinedStr: "an f-string",
        ast.Lambda: "a function of its own",
        **dict.fromkeys((ast.List, ast.Tuple), "a list that is no argument of a function"),
        ast.NamedExpr: "an assignment",
        ast.Set: "a set",
        ast.Starred: "a star",
        **dict.fromkeys((ast.Slice, ast.Subscript), "a part of a column"),
        **dict.fromkeys((ast.Yield, ast.YieldFrom), "a yield"),
    }
)
# Names of R; a column can hardly have them.
_OF_R: Final = {"TRUE": "True", "FALSE": "False", "NULL": "None", "NA": "None"}


class NotAllowedError(Exception):
    """A part of a formula that may not be there.

    Attributes
    ----------
    part
        As it is written.
    reason
        What it is and what to write instead, a sentence without its subject.
    by_trust
        Whether trust would let it pass.
    """

    def __init__(self, part: str, reason: str, *, by_trust: bool = True) -> None:
        super().__init__(part, reason)
        self.part = part
        self.reason = reason
        self.by_trust = by_trust


def check_python(piece: str) -> None:
    """Refuse Python that is not on the list.

    Parameters
    ----------
    piece
        What formulaic will evaluate, names between backticks included.

    Raises
    ------
    NotAllowedError
        It holds the part.
    SyntaxError
        If it is no Python.
    """
    # The same function and parser as formulaic's, so that both read the same.
    code = sanitize_variable_names(piece, {}, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        node = ast.parse(code, mode="eval").body
    columns: set[str] = set()
    _Reader(columns).read(node)
    if not columns:
        raise NotAllowedError(
            piece, "which reads no column. A constant is written 1", by_trust=False
        )


@cache
def evaluation_names() -> Mapping[str, Any]:
    """Names in front of formulaic's own: NumPy without its files, and nothing of Python's."""
    hidden = {*dir(builtins), *(TRANSFORMS.keys() - _FUNCTIONS - {"contr"})}
    numpy = SimpleNamespace(**UFUNCS, **_CONSTANTS)
    return MappingProxyType({**dict.fromkeys(hidden), "np": numpy})


class _Reader:
    """Goes through an expression; every method returns its value where it is a constant."""

    def __init__(self, columns: set[str], *, stateful: bool = False) -> None:
        self._columns = columns
        self._stateful = stateful

    def read(self, node: ast.AST) -> float | None:
        match node:
            case ast.Name():
                self._name(node)
            case ast.Constant():
                return self._constant(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert(), operand=operand):
                number = self.read(operand)
                return -number if number is not None and isinstance(node.op, ast.USub) else number
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Compare():
                self._comparison(node)
            case ast.Call():
                self._call(node)
            case ast.Attribute():
                return self._attribute(node)
            case _:
                said = _WORDS.get(type(node), "not allowed")
                raise _error(node, f"which is {said}")
        return None

    def _name(self, node: ast.Name) -> None:
        if node.id.startswith("__") and node.id.endswith("__"):
            raise NotAllowedError(node.id, "which is a name of Python's own")
        self._columns.add(node.id)

    def _constant(self, node: ast.Constant) -> float | None:
        value = node.value
        if isinstance(value, str):
            # formulaic writes such calls into Python that it then evaluates, in quotes.
            if self._stateful and (not value.isprintable() or set(value) & {"'", '"', "\\"}):
                raise _error(node, "which is a text with quotes or backslashes")
            return None
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return _finite(node, lambda: float(value))
        raise _error(node, "which is neither a real number nor a text")

    def _arithmetic(self, node: ast.BinOp) -> float | None:
        compute = _ARITHMETIC.get(type(node.op))
        if compute is None:
            power = f": write {_text(node.left)}**{_text(node.right)} for a power"
            sign = power if isinstance(node.op, ast.BitXor) else ""
            raise _error(node, f"whose sign stands for no arithmetic{sign}", by_trust=not sign)
        sides = (node.left, node.right)
        texts = [
            _text(s) for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)
        ]
        if texts and not isinstance(node.op, ast.Add):
            raise _error(node, f"which computes with the text {texts[0]}")
        left, right = (self.read(side) for side in sides)
        if left is None or right is None:
            return None
        return _finite(node, lambda: compute(left, right))

    def _comparison(self, node: ast.Compare) -> None:
        if not all(isinstance(sign, _COMPARISONS) for sign in node.ops):
            raise _error(
                node,
                "which is no comparison by ==, !=, <, <=, > or >= : write (x == 1) | (x == 2)",
            )
        for side in (node.left, *node.comparators):
            self.read(side)

    def _attribute(self, node: ast.Attribute) -> float | None:
        match node.value:
            case ast.Name(id="np"):
                if node.attr in _CONSTANTS:
                    return float(_CONSTANTS[node.attr])
                raise _error(
                    node,
                    "which is neither a number nor a call of a function of numbers"
                    f"{instead_of_call(_text(node))}",
                )
            case ast.Name(id="contr") if node.attr in _CONTRASTS:
                return None
        raise _error(node, f"which is an attribute{instead_of_method(_text(node), node.attr)}")

    def _call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in UFUNCS:
                self._ufunc(node, name)
            case ast.Attribute(value=ast.Name(id="contr"), attr=name) if name in _CONTRASTS:
                self._transform(node, getattr(TRANSFORMS["contr"], name))
            case ast.Name(id=name) if name in _FUNCTIONS and name in UFUNCS:
                self._ufunc(node, name)
            case ast.Name(id=name) if name in _FUNCTIONS:
                self._transform(node, TRANSFORMS[name])
            case ast.Attribute(value=ast.Name(id="np") | ast.Name(id="contr")) | ast.Name():
                raise self._unknown(node)
            case ast.Attribute(attr=name):
                method = instead_of_method(_text(node.func), name)
                raise _error(node.func, f"which is a method{method}")
            case _:
                raise _error(node, "which calls what is no name")

    def _unknown(self, node: ast.Call) -> NotAllowedError:
        """Of a function that formulas do not know."""
        name = _text(node.func)
        arguments = [_text(argument) for argument in node.args]
        if name in UFUNCS:
            hint = f". Write np.{name}({', '.join(arguments)})"
        else:
            hint = instead_of_call(name, arguments, known=_FUNCTIONS)
        there = hasattr(builtins, name) or name in TRANSFORMS or name.startswith("np.")
        return NotAllowedError(name, f"which is no function of formulas{hint}", by_trust=there)

    def _ufunc(self, node: ast.Call, name: str) -> None:
        wanted = UFUNCS[name].nin
        # A further argument, or the keyword out, is an array that is written over.
        if node.keywords or len(node.args) != wanted:
            hint = instead_of_call(f"{name}()", [_text(argument) for argument in node.args])
            raise _error(node, f"where {name} takes {wanted} argument(s) and no keyword{hint}")
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                raise _error(argument, f"which is a text inside np.{name}()")
            self.read(argument)

    def _transform(self, node: ast.Call, function: Any) -> None:
        parameters, by_place = _parameters(function)
        if len(node.args) > by_place:
            raise _error(
                node,
                f"where {_text(node.func)} takes at most {by_place} argument(s) without keyword",
            )
        stateful = self._stateful or getattr(function, "__is_stateful_transform__", False)
        inside = _Reader(self._columns, stateful=stateful)
        for keyword in node.keywords:
            if keyword.arg not in parameters:
                named = "two stars" if keyword.arg is None else f"the keyword {keyword.arg!r}"
                raise _error(
                    node,
                    f"where {_text(node.func)} has {named}; it knows "
                    f"{', '.join(parameters[1:]) or 'none'}",
                )
        given = [
            *zip(parameters, node.args, strict=False),
            *((k.arg, k.value) for k in node.keywords),
        ]
        for parameter, value in given:
            number = inside.argument(value)
            if parameter in _COUNTS and number is not None and abs(number) > _MOST_COLUMNS:
                raise _error(
                    node, f"which asks for {number:.6g} columns; {_MOST_COLUMNS} are allowed"
                )

    def argument(self, node: ast.AST) -> float | None:
        """An argument of a transform, which may be a list or a dictionary of such."""
        match node:
            case ast.Name(id=name) if name in _OF_R:
                raise NotAllowedError(
                    name, f"which is R's word: write {_OF_R[name]}", by_trust=False
                )
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    self.argument(part)
            case ast.Dict(keys=keys, values=values):
                for entry in (*keys, *values):
                    if entry is None:
                        raise _error(node, "which has two stars")
                    self.argument(entry)
            case _:
                return self.read(node)
        return None


@cache
def _parameters(function: Any) -> tuple[tuple[str, ...], int]:
    """Names of the arguments that a user may give, and how many of them without keyword."""
    given = [
        p
        for p in inspect.signature(function).parameters.values()
        if not p.name.startswith("_")
        and p.name not in _NO_KEYWORDS
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    names = tuple(p.name for p in given)
    return names, sum(p.kind is not p.KEYWORD_ONLY for p in given)


def _finite(node: ast.AST, compute: Callable[[], Any]) -> float | None:
    """A constant as a double: whole numbers without end would never be computed to the end."""
    try:
        number = compute()
    except ZeroDivisionError:
        return None
    except OverflowError:
        number = math.inf
    if isinstance(number, complex) or math.isnan(number):
        return None
    if math.isinf(number):
        raise _error(node, "which is beyond the largest number", by_trust=False)
    return float(number)


def _error(node: ast.AST, reason: str, *, by_trust: bool = True) -> NotAllowedError:
    return NotAllowedError(_text(node), reason, by_trust=by_trust)


def _text(node: ast.AST) -> str:
    text = ast.unparse(node).replace("\n", " ")
    return text if len(text) <= 80 else f"{text[:79]}…"
