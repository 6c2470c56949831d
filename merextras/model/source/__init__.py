"""Rows that come in chunks.

Read `chunks` (rows that can be gone through again), `source` (what can be such), `files` (paths and
patterns, with `csv_files` and `reading`), `asked` (what the user wants of a source), `learn` (first
pass: levels and types), `reduce` (second pass: cross-products), `dask` (both passes on Dask's
workers).
"""
