"""Numerical core: penalised least squares for linear mixed models, on numpy and scipy alone.

Rooms from the bottom up, which is also the order to read them in: `kernels` (dense, blocked and
sparse linear algebra), `covariance` (theta and the factors it stands for), `products` (what is
kept of the data), `fronts` (sparse Cholesky factorisation of locally crossed factors),
`elimination` (eliminating the random effects at a given theta), `solution` (estimates and
deviance), `derivatives` (gradient, average information, derivatives in the covariances),
`posterior` (joint distribution of all effects, leverages), `optimum` (the search over theta),
`profile` (the optimum with one parameter held), `replicates` (many responses to one design),
`deletion` (refits without some rows), `generalised` (generalised models, on all of these).
"""
