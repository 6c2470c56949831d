"""From formulas, frames, files and statsmodels fits to fitted models.

The only importer of statsmodels, patsy and formulaic.

Rooms from the bottom up: `formula` (parsing and translation), `frame` (the user's tables and
columns), `evaluation` (formula code and what the engines make of it), `columns` (making columns of
X and Z), `structure` (a model without its rows, and what it makes of rows), `settings` (what a user
asks beside the formula), `design` (with rows or sums of them), `source` (chunks and Dask), `state`
(control and the fitted model), `products` (cross-products as objects and files), `fit` (fitting and
refitting), `generalised` (generalised models), `newdata` (rows to predict), `statsmodels` (reading
and writing statsmodels fits).
"""
