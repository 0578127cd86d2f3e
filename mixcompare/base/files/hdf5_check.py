"""What a file's HDF5 structure asks for, before anything is read as it says.

A netCDF file from elsewhere may point to other files, or declare arrays that it does not hold.
A fit needs neither: its groups, arrays and texts are in the file, stored as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import h5py  # type: ignore[import-untyped]
import numpy as np

from mixcompare.base.errors import DataError
from mixcompare.base.machine import memory

# Compressed arrays may become so many times as large as the file, and so much larger.
_RATIO: Final = 100
_ALLOWANCE: Final = 1 << 24
_MOST_OBJECTS: Final = 100_000
_DEEPEST: Final = 8
_KINDS: Final = frozenset({h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.STRING})
# Filters of HDF5 itself: deflate, shuffle, Fletcher's checksum.
_FILTERS: Final = frozenset({1, 2, 3})
# How a text of any length is stored: its length, and where it is.
_TEXT: Final = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_PLACEHOLDER: Final = b"This is a netCDF dimension but not a netCDF variable."


def read_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a file's root that are single numbers or texts.

    Raises
    ------
    OSError, RuntimeError, ValueError, KeyError, TypeError
        As h5py does, if it is not an HDF5 file.
    """
    with h5py.File(path, "r") as file:
        single = (name for name in file.attrs if _is_single(file, name))
        return {name: np.asarray(file.attrs[name]).item() for name in single}


def check_structure(path: Path) -> None:
    """Refuse links out of the file and sizes that it does not have.

    Raises
    ------
    DataError
        It names the group, array or attribute.
    OSError, RuntimeError, ValueError, KeyError, TypeError
        As h5py does, if it is not an HDF5 file.
    """
    try:
        with h5py.File(path, "r") as file, path.open("rb") as raw:
            _check(file, raw, min(_RATIO * path.stat().st_size + _ALLOWANCE, memory()))
    except _RefusedError as error:
        raise DataError(
            f"{path} is not a fit that mixcompare has saved, and is not opened: {error}."
        ) from None


class _RefusedError(Exception):
    """What is wrong, beginning with the name of a group, array or attribute."""


def _check(file: h5py.File, raw: Any, limit: int) -> None:
    needed = 0
    for name, thing in _walk(file):
        needed += _attributes(name, thing)
        if isinstance(thing, h5py.Dataset):
            needed += _array(name, thing, raw)
        if needed > limit:
            raise _RefusedError(
                f"{name} makes the file need {needed:,} bytes of memory, more than it can be worth "
                "or than this machine has"
            )


def _walk(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Every group and array by its name, each once."""
    seen: set[Any] = set()
    waiting: list[tuple[str, int, Any]] = [("/", 0, file)]
    while waiting:
        name, depth, thing = waiting.pop()
        place = h5py.h5o.get_info(thing.id).addr
        if place in seen:
            raise _RefusedError(f"{name} is in the file under two names")
        seen.add(place)
        yield name, thing
        if not isinstance(thing, h5py.Group):
            continue
        if len(thing) + len(seen) + len(waiting) > _MOST_OBJECTS or depth > _DEEPEST:
            raise _RefusedError(f"{name} holds more groups and arrays than any fit")
        for child in thing:
            where = f"{name.rstrip('/')}/{child}"
            if not isinstance(thing.get(child, getlink=True), h5py.HardLink):
                raise _RefusedError(f"{where} is a link to another place or another file")
            kind = thing.get(child, getclass=True)
            if kind not in (h5py.Group, h5py.Dataset):
                raise _RefusedError(f"{where} is neither a group nor an array")
            waiting.append((where, depth + 1, thing[child]))


def _array(name: str, array: Any, raw: Any) -> int:
    """Bytes that an array needs in memory."""
    layout, kind = array.id.get_create_plist(), array.id.get_type()
    if layout.get_external_count():
        raise _RefusedError(f"{name} keeps its values in another file")
    if array.is_virtual:
        raise _RefusedError(f"{name} takes its values from other arrays or files")
    if _is_placeholder(array):
        return 0
    if kind.get_class() not in _KINDS:
        raise _RefusedError(f"{name} holds neither numbers nor texts")
    text = kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
    size = _TEXT.itemsize if text else int(kind.get_size())
    filters = {layout.get_filter(i)[0] for i in range(layout.get_nfilters())}
    if not filters <= _FILTERS or (text and filters):
        raise _RefusedError(f"{name} is compressed in a way that no fit is")
    number = int(array.id.get_space().get_simple_extent_npoints())
    declared, stored = number * size, int(array.id.get_storage_size())
    if declared > stored * (10 * _RATIO if filters else 1):
        said = f"declares {declared:,} bytes, of which the file holds {stored:,}"
        raise _RefusedError(f"{name} {said}")
    if text:
        return _lengths(name, array, raw, number)
    return max(declared, math.prod(array.chunks or (0,)) * size)


def _is_placeholder(array: Any) -> bool:
    """Whether an array only tells the length of a dimension, and is never read."""
    label = array.attrs.get("NAME")
    text = label.encode() if isinstance(label, str) else label
    return isinstance(text, bytes) and _PLACEHOLDER in text


def _lengths(name: str, array: Any, raw: Any, number: int) -> int:
    """Bytes of texts, which may all be the same one."""
    if not number:
        return 0
    if array.id.get_offset() is None:
        raise _RefusedError(f"{name} holds texts in pieces, as no fit does")
    raw.seek(array.id.get_offset())
    stored = np.frombuffer(raw.read(number * _TEXT.itemsize), dtype=_TEXT)
    return int(stored["length"].sum(dtype=np.int64)) + 64 * number


def _attributes(name: str, thing: Any) -> int:
    """Bytes that the attributes of a group or an array need in memory."""
    needed = 0
    for attribute in thing.attrs:
        identifier = thing.attrs.get_id(attribute)
        kind = identifier.get_type()
        text = kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
        if text and not _is_single(thing, attribute):
            raise _RefusedError(f"{name} ({attribute}) is a list of texts")
        # A text is in the file once, and the file is not large.
        needed += len(thing.attrs[attribute]) if text else int(identifier.get_storage_size())
    return needed


def _is_single(thing: Any, attribute: str) -> bool:
    return int(thing.attrs.get_id(attribute).get_space().get_simple_extent_npoints()) == 1
