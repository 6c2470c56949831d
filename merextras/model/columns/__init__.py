"""Columns of X and Z from data.

Read `fixed` (the protocol of a part and the formula engines), `specs` (what an engine knows),
`explained` (its errors), `boxes` and `complete_rows` (what patsy is given), `whole_column` (code
that looks at other rows), `plain_columns` (sums of numeric columns), `array_columns` (columns as
they are), `coded` (what an engine has learnt, as data), `transforms` (stateful transforms),
`levels` (levels and codes of factors), `covariates` (the effects of a term), `combinations`
(combinations of columns).
"""
