"""Formulas, checked before there are data: signs, functions and hints.

A formula is parsed to a list of what is allowed before anything evaluates it. It may import
`base` alone.
"""
