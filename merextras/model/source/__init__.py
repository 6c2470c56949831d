"""Rows that come in chunks.

Read `source` (what can be a source), `asked` (what the user wants of it), `learn` (first pass:
levels and types), `reduce` (second pass: cross-products), `dask` (both passes on Dask's workers).
"""
