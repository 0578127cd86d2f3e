"""Reports and figures by the kind of the result.

Results know no renderers, so that what computes needs nothing that draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mixcompare.auditing import Audit
from mixcompare.auditing.audit_figure import plot_audit
from mixcompare.auditing.audit_page import write_audit
from mixcompare.base.errors import OptionError
from mixcompare.base.suggest import kind_of
from mixcompare.checking.simulation_based import Calibration
from mixcompare.comparison import Comparison
from mixcompare.report.figures.calibration import plot_calibration
from mixcompare.report.figures.selection import plot_selection
from mixcompare.report.write_comparison import write_comparison
from mixcompare.report.write_selection import write_selection
from mixcompare.selection import Selection


def write_report(
    result: Comparison | Audit | Selection, directory: str | Path, **more: Any
) -> Path:
    """Write what was found into a folder: pages, tables, figures.

    Parameters
    ----------
    result
        What `mixcompare.compare`, `mixcompare.audit` or `mixcompare.select` has returned.
    directory
        The folder; made if it does not exist.
    **more
        See `mixcompare.report.write_comparison.write_comparison`,
        `mixcompare.auditing.audit_page.write_audit` and
        `mixcompare.report.write_selection.write_selection`; all take ``overwrite=True``, which
        replaces the report of another model or other data.

    Returns
    -------
    Path of the HTML file; of the folder for a selection, which has tables, fits and a figure.

    Raises
    ------
    OptionError
        If the folder cannot be written or holds what may not be replaced, or there is no report
        of such a result.
    """
    match result:
        case Comparison():
            return write_comparison(result, directory, **more)
        case Audit():
            return write_audit(result, directory, **more)
        case Selection():
            return write_selection(result, directory, **more)
    raise OptionError(
        "write_report takes what compare, audit or select has returned, not "
        f"{kind_of(result)}. A fit is kept by its own save."
    )


def plot(result: Selection | Audit | Calibration) -> Figure:
    """The figure of a result that has one.

    Parameters
    ----------
    result
        A selection: log-likelihood, criteria and certainty of the classes by number of classes.
        An audit: log-likelihood by iteration, falls marked, and the parts' errors beneath. A
        calibration: how far ranks are from uniform.

    Raises
    ------
    OptionError
        If there is no figure of such a result.
    """
    match result:
        case Selection():
            return plot_selection(result)
        case Audit():
            return plot_audit(result)
        case Calibration():
            return plot_calibration(result)
    raise OptionError(
        "plot takes what select, audit or calibrate has returned, not "
        f"{kind_of(result)}. The figures of a comparison are in its report."
    )
