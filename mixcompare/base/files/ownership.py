"""Whose results a folder holds: those of another input or model are not replaced unasked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path
from typing import Final

from mixcompare.base.errors import OptionError
from mixcompare.base.files.staging import remove_leftovers

META: Final = "mixcompare-made-from"
# Of a page's text, in which the entry is near the beginning.
_HEAD: Final = 1 << 16
_ENTRY: Final = re.compile(rf'<meta name="{META}" content="([^"]*)">')
_SUFFIXES: Final = frozenset({".csv", ".md", ".tex", ".svg", ".pdf"})
_REMEDY: Final = (
    "Choose another folder, or allow that it is replaced (--force; in Python overwrite=True)."
)


@dataclass(frozen=True, slots=True)
class Owner:
    """What results were made from.

    Attributes
    ----------
    kind
        What they are, such as ``"report"``.
    model
        Of the specification or the like, a text that differs where it does.
    inputs
        Texts for the data, their fingerprint or the place of their file; results with one of
        them in common are of the same input.
    words
        Model and data for a reader.
    """

    kind: str
    model: str
    inputs: tuple[str, ...]
    words: str

    def renews(self, earlier: Owner) -> bool:
        """Whether earlier results are of the same input and model."""
        alike = (self.kind, self.model) == (earlier.kind, earlier.model)
        return alike and not set(self.inputs).isdisjoint(earlier.inputs)

    def to_json(self) -> str:
        """The entry in a page."""
        return json.dumps(asdict(self))


def study_owner(name: str) -> Owner:
    """What the page of a study is made from."""
    return Owner("study", name, (name,), repr(name))


def place_of(path: str | Path) -> str:
    """SHA-256 of where a file is, which tells files of one name apart and betrays no path."""
    return hashlib.sha256(str(Path(path).resolve()).encode("utf-8", "surrogateescape")).hexdigest()


def page_owner(page: Path) -> Owner | None:
    """What a page says that it was made from; None if it says nothing."""
    try:
        with page.open(encoding="utf-8", errors="replace") as file:
            entry = _ENTRY.search(file.read(_HEAD))
    except OSError:
        return None
    return None if entry is None else read_owner(unescape(entry[1]))


def read_owner(text: str) -> Owner | None:
    """The inverse of `Owner.to_json`; None if the text is something else."""
    try:
        said = json.loads(text)
        inputs = tuple(map(str, said["inputs"]))
        return Owner(str(said["kind"]), str(said["model"]), inputs, str(said["words"]))
    except (ValueError, KeyError, TypeError):
        return None


def check_folder(
    directory: Path,
    page: str,
    owner: Owner,
    *,
    overwrite: bool,
    names: Iterable[str] = (),
    known: Callable[[Path], Owner | None] = page_owner,
) -> None:
    """Refuse a folder in which something of others would be replaced.

    Parameters
    ----------
    directory
        The folder, which need not exist.
    page
        Name of the file that says whose the folder's results are.
    owner
        Of what is to be written.
    overwrite
        Whether everything may be replaced.
    names
        Of other files, and of folders with files, that are written.
    known
        Reads the owner from the page.

    Raises
    ------
    OptionError
        It names the folder's other model and data, or the file that is not ours.
    """
    if overwrite:
        return
    remove_leftovers(directory)
    path = directory / page
    earlier = known(path) if path.exists() else None
    if earlier is not None and owner.renews(earlier):
        return
    if earlier is not None:
        raise OptionError(f"{directory} holds another {earlier.kind}: {earlier.words}. {_REMEDY}")
    for there in (directory / name for name in (page, *names)):
        inside = sorted(there.iterdir()) if there.is_dir() else []
        files = [file for file in inside if file.suffix.lower() in _SUFFIXES]
        if files or there.is_file():
            raise not_ours((files or [there])[0])


def not_ours(path: Path) -> OptionError:
    """The error where a file of others would be replaced."""
    return OptionError(
        f"{path} is there already, and mixcompare has not written it from the same input and "
        f"model: it is not replaced. {_REMEDY}"
    )
