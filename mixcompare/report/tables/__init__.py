"""Tables of a comparison, one file per subject.

They may import `pages` and the results that they show.
"""
