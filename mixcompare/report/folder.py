"""Which folders a report may be written into."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mixcompare.base.errors import DataError
from mixcompare.base.files.ownership import Owner, check_folder, not_ours, page_owner
from mixcompare.fits.storage import read_attributes
from mixcompare.model.spec import MixtureSpec
from mixcompare.pages.shell import REPORT
from mixcompare.report.provenance import FITS
from mixcompare.reproduction.carried import read_record
from mixcompare.reproduction.origin import Origin

KIND: Final = "report"
_WRITTEN: Final = ("provenance.json", "tables", "figures")


def owner_of(spec: MixtureSpec, fingerprint: str, origin: Origin) -> Owner:
    """What the report of a model's fits to a panel is made from."""
    data = origin.file or origin.panel or "a table in memory"
    return Owner(
        KIND,
        spec.content_hash,
        (fingerprint, *([origin.place] if origin.place else [])),
        f"{spec.formula!r} with {spec.n_components} classes, of {data}",
    )


def check_report_folder(
    directory: Path, owner: Owner, *, overwrite: bool, fits: bool = False
) -> None:
    """Refuse a folder in which something of others would be replaced.

    Parameters
    ----------
    directory, owner, overwrite
        See `mixcompare.base.files.ownership.check_folder`.
    fits
        Whether the two fits are written beside the report.

    Raises
    ------
    OptionError
        It names the folder's other model and data, or the file that is not ours.
    """
    check_folder(directory, REPORT, owner, overwrite=overwrite, names=_WRITTEN, known=_page_owner)
    if overwrite or not fits or (directory / REPORT).exists():
        return
    for path in (directory / name for name in FITS.values()):
        said = read_attributes(path) if path.exists() else None
        same = said is not None and (said["spec_hash"], said["fingerprint"]) == (
            owner.model,
            owner.inputs[0],
        )
        if path.exists() and not same:
            raise not_ours(path)


def _page_owner(page: Path) -> Owner | None:
    """The page's own word, or that of the record of an earlier version's page."""
    said = page_owner(page)
    if said is not None:
        return said
    try:
        record = read_record(page)
        data, spec = record["data"], record["specification"]
        words = f"{spec['formula']!r} with {spec['n_components']} classes, of {data['file']}"
        return Owner(KIND, record["specification_sha256"], (data["fingerprint_sha256"],), words)
    except (DataError, KeyError, TypeError):
        return None
