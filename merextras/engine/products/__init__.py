"""Cross-products of the data, an additive monoid.

Read `basis` (orthonormal coordinates of X and y), `term_rows` (the rows of one term), `effects`
(orthonormal coordinates of its effects), `crossprod` (the cross-products), `cells` (columns of X
whose products are counted), `scale` (the residual variance, estimated or given), `strata`
(cross-products by residual stratum), `accumulate` with `pairs_so_far` (a table that comes in
pieces), `restrict` with `change` (the cross-products of a smaller model).
"""
