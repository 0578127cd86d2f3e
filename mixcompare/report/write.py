"""The report's files: complete or not at all."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from mixcompare.comparison import Comparison
from mixcompare.fit import Fit
from mixcompare.report.page import drawings, render
from mixcompare.report.provenance import FITS, provenance, to_json
from mixcompare.report.tables import csv_tables
from mixcompare.staging import staged

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
    with staged(directory, last=REPORT) as folder:
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
