"""Files of the fits that a study keeps: their folder, their names, what they hold."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from mixcompare.fits.fit import Fit
from mixcompare.study.file.load import Study

# Characters of a label in a name; what they leave out is told apart by the digest after them.
_SHOWN: Final = 60
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9=.,_+-]+")


def fits_folder(study: Study, folder: Path, *, quick: bool) -> Path:
    """Where fits lie, for a quick run not where those of a whole one do.

    Parameters
    ----------
    folder
        Of the report.
    """
    if quick:
        return folder / "fits-quick"
    return folder if study.is_real else folder / "fits"


def fit_file(study: Study, scenario: int, replicate: int, name: str) -> str:
    """Name of the file in which a fit is kept.

    It has the scenario's label, not its place, which a grid that grows changes: readable as far
    as a file's name can be, and a part of the label's SHA-256. The dots around it, which a
    method's name cannot have, tell it apart.

    Parameters
    ----------
    scenario, replicate, name
        Place of the scenario in the study's list, replicate from 0, the method's name.
    """
    replicates = study.methods[name].replicates or study.tables.run.replicates
    label = study.scenarios[scenario].label
    if label != "all":
        plain = _UNSAFE.sub("_", label)[:_SHOWN]
        digest = hashlib.sha256(label.encode()).hexdigest()[:16]
        return f"{name}.{plain}.{digest}.r{replicate + 1:05d}.nc"
    if study.is_real and replicates == 1:
        return f"{name}.nc"
    return f"{name}-s001-r{replicate + 1:05d}.nc"


def save_fit(fit: Fit, path: Path) -> str:
    """Save a fit; returns the SHA-256 of the file."""
    fit.save(path)
    return digest_of(path)


def digest_of(path: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
