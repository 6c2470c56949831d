"""The random effects: how many dimensions they have, and how far they are shrunk.

Read `re_pca` (principal components of their covariance), `shrinkage` (coefficients by level with
no, partial and complete pooling) with `level_equations` (least squares of each level) and
`shrinkage_generalised` (its own fit of each level).
"""
