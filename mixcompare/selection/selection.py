"""What a selection finds: fits, criteria, tests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mixcompare.base.errors import DataError, OptionError
from mixcompare.base.files.csv_text import csv_text, unescape
from mixcompare.base.files.ownership import Owner, check_folder
from mixcompare.base.files.staging import check_folder_name, staged
from mixcompare.base.words import listing
from mixcompare.checking.leave_one_out import LeaveOneOut
from mixcompare.fits.fit import Fit, load
from mixcompare.fits.storage import read_attributes
from mixcompare.model.spec import MixtureSpec
from mixcompare.selection.criteria_table import CRITERIA, DEFAULT, EVIDENCE, UNRANKED

_ASKED: Final = "asked.json"
_WRITTEN: Final = (_ASKED, "selection.svg", "tests.csv", "loo.csv")
# Columns of texts, which are empty where there is nothing to say.
_TEXTS: Final = ("message", "cautions", "spurious", "notes")
_SAMPLED: Final = (f"posterior{UNRANKED}", f"smc{UNRANKED}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Selection:
    """One model with several numbers of classes.

    Attributes
    ----------
    fits
        EM fits by number of classes; those that ended degenerate are missing.
    table
        By number of classes: log_likelihood, n_parameters, aic, bic (n = units, the
        default), bic_rows (n = rows less absorbed cells), sabic and icl (n = units),
        entropy_r2 (relative entropy of the classification, 1 for certain classes),
        smallest_class in units, starts_at_best, starts, found_again (whether starts of two kinds
        reached the best optimum), spurious (``"estimate"``, ``"passed over"`` or ``"none"``: what
        became of spurious maxima), status, rounds of fitting, falls (whether the log-likelihood
        is still below that of fewer classes), message, cautions about the result and, in a
        few words, notes of these; then those
        of the posterior that were asked for, see
        `mixcompare.selection.criteria_table.posterior_table`.
    tests
        Bootstrap likelihood-ratio tests, as `bootstrap_tests` gives them; None if not asked.
    posteriors
        PyMC's fits by number of classes, if criteria were asked that need them.
    loo
        Their cross-validation by number of classes.
    asked
        Arguments of `select` that give the same numbers again from the same model and data.
    """

    fits: Mapping[int, Fit]
    table: pd.DataFrame
    tests: pd.DataFrame | None
    posteriors: Mapping[int, Fit]
    loo: Mapping[int, LeaveOneOut]
    asked: Mapping[str, Any]

    def best(self, criterion: str = DEFAULT) -> int:
        """Number of classes that a criterion of `choices` would choose.

        Spurious estimates are left out, unless all are or they were asked for by
        ``spurious="keep"``, and so are posteriors that cannot be relied on.

        Raises
        ------
        OptionError
            If the criterion is not in the table, or no number of classes can be ranked by it.
        """
        best = self._best(criterion)
        if best is None:
            raise OptionError(
                f"no number of classes can be ranked by {criterion!r}: the selection's table says "
                "why. Ask for more draws, as in sampling={'draws': 4000, 'tune': 4000}."
            )
        return best

    def _best(self, criterion: str) -> int | None:
        rule = CRITERIA[criterion]
        loss = np.where(rule.unranked(self.table), np.nan, rule.loss(self.table))
        spurious = self.table["spurious"].to_numpy() == "estimate"
        if self.asked.get("spurious") != "keep" and np.isfinite(loss[~spurious]).any():
            loss = np.where(spurious, np.nan, loss)
        return None if np.isnan(loss).all() else int(self.table.index[int(np.nanargmin(loss))])

    @property
    def choices(self) -> pd.DataFrame:
        """What each criterion of the table chooses.

        Returns
        -------
        By criterion: n_components, missing where no posterior can be ranked; note, what should
        be known beside it, empty if there is nothing: what `notes` has of the choice, numbers of
        classes that were left out, and those whose two marginal likelihoods contradict each
        other.
        """
        there = [name for name, c in CRITERIA.items() if c.known(self.table)]
        counts = [self._best(name) for name in there]
        return pd.DataFrame(
            {
                "n_components": pd.array(counts, dtype="Int64"),
                "note": [self._note(name, k) for name, k in zip(there, counts, strict=True)],
            },
            index=pd.Index(there, name="criterion"),
        )

    def _note(self, criterion: str, count: int | None) -> str:
        table, rule = self.table, CRITERIA[criterion]
        left_out = [*map(str, table.index[rule.unranked(table)])]
        said = [] if count is None else [self.notes[count]]
        if left_out:
            said.append(f"K = {listing(left_out)} not ranked")
        if rule.column in EVIDENCE and "evidence_apart" in table:
            apart = [*map(str, table.index[table["evidence_apart"].astype(bool)])]
            if apart:
                said.append(
                    f"bridge sampling and SMC contradict each other at K = {listing(apart)}"
                )
        return "; ".join(filter(None, said))

    @property
    def notes(self) -> dict[int, str]:
        """What speaks against relying on each number of classes' fit; empty where nothing does."""
        return dict(zip(self.table.index.tolist(), self.table["notes"].astype(str), strict=True))

    def save(
        self,
        directory: str | Path,
        *,
        overwrite: bool = False,
        beside: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write selection.csv, asked.json and the fits; tests.csv and loo.csv if any.

        Parameters
        ----------
        directory
            The folder; made if it does not exist.
        overwrite
            Whether the folder's selection may be of another model or other data, or not ours.
        beside
            Further files by name, such as a figure.

        Returns
        -------
        The folder.

        Raises
        ------
        OptionError
            If the folder cannot be written or holds what may not be replaced.
        """
        directory = Path(directory)
        fit = next(iter(self.fits.values()))
        check_selection_folder(directory, fit.spec, fit.fingerprint, overwrite=overwrite)
        with staged(directory, last="selection.csv") as folder:
            for prefix, fits in (("em", self.fits), ("pymc", self.posteriors)):
                for count, fit in fits.items():
                    fit.save(folder / f"{prefix}_{count}.nc")
            if self.tests is not None:
                _write(folder / "tests.csv", self.tests)
            if self.loo:
                units = pd.concat({k: loo.units for k, loo in self.loo.items()})
                units = units.rename_axis(["n_components", "unit"])
                _write(folder / "loo.csv", units, index=True)
            text = json.dumps(dict(self.asked), default=np.generic.item, indent=2)
            (folder / _ASKED).write_text(text, "utf-8")
            for name, content in (beside or {}).items():
                (folder / name).write_bytes(content)
            _write(folder / "selection.csv", self.table, index=True)
        return directory

    def __repr__(self) -> str:
        choices = self.choices
        said = ", ".join(
            f"{name} {'none' if pd.isna(k) else k}{f' ({note})' if note else ''}"
            for name, k, note in choices.itertuples()
        )
        return f"<mixcompare.Selection of {', '.join(map(str, self.table.index))}: {said}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{repr(self)[1:-1]}</b></p>{self.table.to_html()}"


def _write(path: Path, frame: pd.DataFrame, *, index: bool = False) -> None:
    path.write_text(csv_text(frame, index=index), "utf-8")


def check_selection_folder(
    directory: Path, spec: MixtureSpec, fingerprint: str, *, overwrite: bool
) -> None:
    """Refuse a folder in which a selection would replace something of others.

    Raises
    ------
    OptionError
        It names the folder's other model, or the file that is not ours.
    """
    check_folder_name(directory)
    owner = _owner(spec.to_dict(), fingerprint)
    check_folder(
        directory, "selection.csv", owner, overwrite=overwrite, names=_WRITTEN, known=_saved_owner
    )


def _owner(spec: Mapping[str, Any], fingerprint: str) -> Owner:
    model = {name: value for name, value in spec.items() if name != "n_components"}
    text = json.dumps(model, sort_keys=True)
    return Owner("selection", text, (fingerprint,), f"{spec['formula']!r}")


def _saved_owner(table: Path) -> Owner | None:
    """What the fits beside a table of criteria are of."""
    for path in sorted(table.parent.glob("em_*.nc")):
        said = read_attributes(path)
        if said is not None:
            with contextlib.suppress(KeyError, ValueError, TypeError):
                return _owner(json.loads(said["spec"]), str(said["fingerprint"]))
    return None


def load_selection(directory: str | Path, *, trust: bool = False) -> Selection:
    """Load what `Selection.save` has written.

    Parameters
    ----------
    directory
        The folder.
    trust
        Whether the fits' formulas may hold any Python, see `mixcompare.load`.

    Raises
    ------
    DataError
        If the folder holds no selection or not the whole of one.
    """
    folder = Path(directory)
    try:
        table = pd.read_csv(
            folder / "selection.csv",
            index_col="n_components",
            dtype=dict.fromkeys((*_TEXTS, *_SAMPLED), str),
        )
        # Empty cells are read as missing, and a selection of before there were cautions has none.
        for name in (*_TEXTS, *(name for name in _SAMPLED if name in table)):
            table[name] = table[name].fillna("").map(unescape) if name in table else ""
        if "posterior_status" in table and _SAMPLED[0] not in table:
            bad = table["posterior_status"] != "converged"  # of before it was said here
            table[_SAMPLED[0]] = np.where(bad, "The chains have not converged.", "")
        asked = json.loads((folder / _ASKED).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no selection: {error}.") from error
    tests, loo = folder / "tests.csv", folder / "loo.csv"
    units = _cross_validated(loo) if loo.is_file() else {}
    return Selection(
        _fits(folder, "em", table, trust),
        table,
        pd.read_csv(tests) if tests.is_file() else None,
        _fits(folder, "pymc", table, trust),
        units,
        asked,
    )


def _fits(folder: Path, prefix: str, table: pd.DataFrame, trust: bool) -> dict[int, Fit]:
    paths = {int(k): folder / f"{prefix}_{k}.nc" for k in table.index}
    return {k: load(path, trust=trust) for k, path in paths.items() if path.is_file()}


def _cross_validated(path: Path) -> dict[int, LeaveOneOut]:
    whole = pd.read_csv(path, index_col=["n_components", "unit"], converters={"remedy": unescape})
    whole = whole.rename(index=lambda v: unescape(v) if isinstance(v, str) else v, level="unit")
    counts = whole.index.get_level_values("n_components").unique()
    return {int(k): LeaveOneOut(whole.loc[k]) for k in counts}
