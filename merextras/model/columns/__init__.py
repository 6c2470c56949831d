"""Columns of X and Z from data.

Read `fixed` (the protocol of a part and the formula engines), `plain_columns` (sums of numeric
columns), `coded` (what an engine has learnt, as data), `transforms` (stateful transforms),
`levels` (levels and codes of factors), `covariates` (the effects of a term), `combinations`
(combinations of columns).
"""
