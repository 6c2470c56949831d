"""Rows that come in chunks.

Read `source` (what can be a source), `learn` (first pass: levels and types), `reduce` (second
pass: cross-products), `dask` (both passes on Dask's workers).
"""
