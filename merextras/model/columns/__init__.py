"""Columns of X and Z from data.

Read `part` (what every part answers: names, columns, terms, categories), then the parts:
`plain_columns` (sums of numeric columns), `plain_factors` (with categorical ones), `array_columns`
(columns as they are, combinations), `coded` with `blocks` (what an engine has learnt, as data),
`fixed` with `spec_part` (what an engine makes). `term_order` is R's order of terms,
`synthetic_rows` tells which columns span others without data, `levels` has levels and codes of
factors (`labels_so_far`: while they come), `covariates` the effects of a term, `effect_levels`
their order where a covariance structure asks for one, `finite` a check.
"""
