"""numba's decorators with a cache that a change of any kernel's source leaves behind.

numba compiles what a function calls, and the constants it reads, into its code, but looks only
at the function's own file when it takes that code from its cache: after a change elsewhere,
kernels compiled before and after it would disagree, without a word. Here the names under which
functions are kept have a digest of the sources of all kernels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numba

_PACKAGE: Final = Path(__file__).parent.parent
_MARK: Final = f"from {__name__} import njit".encode()


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `numba.njit`."""
    return lambda function: numba.njit(**options)(_renamed(function))


def cfunc(signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `numba.cfunc`."""
    return lambda function: numba.cfunc(signature, **options)(_renamed(function))


def _renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    function.__qualname__ = f"{function.__name__}_{sources()[:16]}"
    return function


def kernel_files() -> list[Path]:
    """The files of kernels, which may import from the package only one another."""
    return [path for path in sorted(_PACKAGE.rglob("*.py")) if _MARK in path.read_bytes()]


@cache
def sources() -> str:
    """SHA-256 of their names and contents."""
    digest = hashlib.sha256()
    for path in kernel_files():
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
