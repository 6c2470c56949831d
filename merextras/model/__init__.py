"""From formulas, frames, files and statsmodels fits to fitted models.

The only importer of statsmodels, patsy and formulaic.

Rooms from the bottom up: `formula` (parsing and translation), `frame` (the user's tables and
columns), `columns` (making columns of X and Z), `design` (formula and frame to arrays), `structure`
(a design without its rows), `source` (chunks and Dask), `rowless` (models that keep no rows),
`state` (control and the fitted model), `products` (cross-products as objects and files), `fit`
(fitting and refitting), `newdata` (rows to predict), `statsmodels` (reading and writing statsmodels
fits).
"""
