"""Tables of models.

`tidy` (parameters) with `ran_coefs` (the levels' coefficients), `glance` (a model in one row),
`augment` (rows of the data), `compare_table` (models side by side), `summary_col` (for
statsmodels).
"""
