"""The language of models: what is meant, before there are data.

Specifications of responses and classes, formulas, families as declared, priors as stated,
covariance structures, the layout of parameters, and the table of what each part of the program
can serve. Nothing here reads data or computes a density. It may import `base` alone.
"""
