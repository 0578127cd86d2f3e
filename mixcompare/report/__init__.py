"""What a reader gets: one HTML page with its figures, tables and provenance.

It may import every result that it shows, and `pages`; no result imports it.
"""

from mixcompare.report.results import plot, write_report

__all__ = ["plot", "write_report"]
