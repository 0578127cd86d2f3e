"""What a reader gets: one HTML page with its figures, tables and provenance."""

from mixcompare.report.write import write_report

__all__ = ["write_report"]
