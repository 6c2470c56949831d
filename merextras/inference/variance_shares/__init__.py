"""Shares of the variance.

Read `variance_parts`, then `icc`, `r2`, `variance_decomposition`; `icc_from_data` needs no
model.
"""
