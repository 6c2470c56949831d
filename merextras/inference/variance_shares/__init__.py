"""Shares of the variance.

Read `variance_parts` and `generalised` (variances by source), then `icc`, `r2`,
`variance_decomposition`; `exact_icc` (the exact interval of a balanced design), `icc_from_data`
(needs no model).
"""
