"""The report's files: complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from mixcompare.comparison import Comparison
from mixcompare.errors import OptionError
from mixcompare.fit import Fit
from mixcompare.report.page import drawings, render
from mixcompare.report.provenance import FITS, provenance, to_json
from mixcompare.report.tables import csv_tables

REPORT = "report.html"


def write_report(comparison: Comparison, directory: str | Path, title: str | None = None) -> Path:
    """Write a comparison's report into a folder.

    Writes ``report.html``, which needs nothing else, and beside it ``tables/*.csv``,
    ``figures/*.svg`` and ``provenance.json``. Files of an earlier report are replaced
    after everything has been made; other files in the folder stay.

    Parameters
    ----------
    comparison
        What to report.
    directory
        The folder; made if it does not exist.
    title
        Heading; by default the formula and the number of classes.

    Returns
    -------
    Path of ``report.html``.

    Raises
    ------
    OptionError
        If the folder cannot be written.
    """
    directory = Path(directory)
    with _staged(directory) as folder:
        record = provenance(comparison)
        figures = drawings(comparison)
        saved = _saved_fits(comparison, directory)
        page = render(comparison, figures, title=title, record=record, saved=saved)
        files = {f"tables/{name}": text for name, text in csv_tables(comparison).items()}
        files |= {f"figures/{name}.svg": drawing.svg for name, drawing in figures.items()}
        files |= {"provenance.json": to_json(record), REPORT: page}
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return directory / REPORT


def _saved_fits(comparison: Comparison, directory: Path) -> tuple[str, ...]:
    """Names of files in the folder that hold EM's fit and the posterior."""
    found = [_saved(fit, directory) for fit in (comparison.em, comparison.posterior_fit)]
    return tuple(name for name in found if name is not None)


def _saved(fit: Fit, directory: Path) -> str | None:
    own = {key: fit.tree.attrs[key] for key in ("backend", "created", "spec_hash", "seed")}
    preferred = directory / FITS.get(fit.backend, "")
    candidates = sorted(directory.glob("*.nc"), key=lambda path: (path != preferred, path.name))
    for path in candidates:
        try:
            with xr.open_dataset(path, engine="h5netcdf") as root:
                attrs = root.attrs
        except (OSError, ValueError):
            continue
        if all(str(attrs.get(key)) == str(value) for key, value in own.items()):
            return path.name
    return None


@contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `directory` on success and else vanish."""
    missing = _missing_folders(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Inside the target, so that files can be renamed and the right to write is proven.
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=".report-"))
    except OSError as error:
        _remove_empty(missing)
        raise _cannot_write(directory, error) from error
    try:
        yield staging
        _publish(staging, directory)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(missing)


def _missing_folders(directory: Path) -> list[Path]:
    """Folders that must be made, the innermost first."""
    return [path for path in (directory, *directory.parents) if not path.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _publish(staging: Path, directory: Path) -> None:
    """The page comes last: where it is new, so is everything else."""
    files = sorted((path for path in staging.rglob("*") if path.is_file()), key=_page_last)
    for folder in {directory / path.relative_to(staging).parent for path in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        os.replace(path, directory / path.relative_to(staging))


def _page_last(path: Path) -> tuple[bool, str]:
    return path.name == REPORT, str(path)


def _cannot_write(directory: Path, error: OSError) -> OptionError:
    return OptionError(
        f"cannot write the report into {directory}: {error.strerror or error}. "
        "Choose another folder."
    )
