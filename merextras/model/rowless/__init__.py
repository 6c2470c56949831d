"""Models that keep no rows.

Read `design`, then `effects`, `variables`, `submodels`, `resample_groups` and `synthetic_rows`
(tests of column-space inclusion on synthetic rows).
"""
