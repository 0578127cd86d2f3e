"""A study's report: contents, figures, tables, the page.

It may import `study.measures`, `study.file` and `pages`.
"""
