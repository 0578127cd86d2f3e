"""Fits: what a backend returns, as labelled results, in memory and on disk.

The result format of every backend, its tables and its files. It may import `prepared`,
`labels` and what is below; it knows no backend and draws no figure.
"""
