"""Rows of a generalised model, which are reduced again at every step.

Read `cells` (rows and levels that are alike as one), `table` (reduction with other weights on one
layout), `sums` (the matrices whose products are sums over the rows) and `passes` (rows that are
read again for each sum).
"""
