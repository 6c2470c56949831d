"""Fits of rows that come in chunks.

Read `fit_chunks` (from a source to a fit), `gathered` (columns that fit in memory), `kept_cells`
(rows that are alike, counted as they come), `streamed` (rows that are read again for each sum).
"""
