"""Rows that come in chunks.

Read `chunks` (rows that can be gone through again), `source` (what can be such), `files` (paths and
patterns, with `csv_files` and `reading`), `request` (what the user wants of a source), `learn`
(levels and types), `reduce` (cross-products), `one_pass` (both while the rows go by once, where
their first chunk tells the columns; else in two passes), `dask` (both on Dask's workers).
"""
