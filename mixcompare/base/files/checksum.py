"""The last line of a saved file: its format and the SHA-256 of everything before.

HDF5 takes no notice of what follows its own end, so that any program reads the file as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Buffer
from pathlib import Path
from typing import Final

from mixcompare.base.errors import DataError

# Rises when files are written that an earlier version would read wrongly.
FORMAT: Final = 1
_LINE: Final = re.compile(rb"(\nmixcompare fit, format (\d+), SHA-256 )([0-9a-f]{64})\n\Z")
_LONGEST: Final = 128
_CHUNK: Final = 1 << 20


def last_line(content: Buffer) -> bytes:
    """What is to follow the bytes of a fit."""
    head = f"\nmixcompare fit, format {FORMAT}, SHA-256 ".encode()
    digest = hashlib.sha256(content)
    digest.update(head)
    return head + digest.hexdigest().encode() + b"\n"


def is_checked(path: Path) -> bool:
    """Whether a file ends in such a line, which then is right.

    Raises
    ------
    DataError
        If the file is not what was saved, or of a later format.
    OSError
        If it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST))
        line = _LINE.search(file.read())
        if line is None:
            return False
        head, number, expected = line.groups()
        file.seek(0)
        digest, left = hashlib.sha256(), size - len(line[0])
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    digest.update(head)
    if digest.hexdigest().encode() != expected:
        raise DataError(
            f"{path} is damaged: its bytes are not those that were saved (SHA-256). Take another "
            "copy of it, or fit again."
        )
    if int(number) > FORMAT:
        raise DataError(
            f"{path} was saved by a later version of mixcompare (format {int(number)}; this "
            f"version reads {FORMAT}). Update mixcompare."
        )
    return True
