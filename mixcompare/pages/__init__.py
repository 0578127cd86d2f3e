"""Pages: numbers, tables, colours and figures as markup, whatever they show.

The generic part of every report. It may import `base` alone and knows no fit, no comparison
and no study.
"""
