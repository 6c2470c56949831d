"""Cross-products of the data, an additive monoid.

Read `basis` (orthonormal coordinates of X and y), `crossprod` (the cross-products),
`accumulate` (a table that comes in pieces), `restrict` (the cross-products of a smaller model).
"""
