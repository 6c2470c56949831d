"""Generalised linear mixed models: the Laplace criterion and its optimum.

Rooms from the bottom up, which is also the order to read them in: `families` (log-densities and
their derivatives), `rows` (rows that are reduced again with other weights), `criterion`
(conditional modes, Laplace's approximation, quadrature), `searches` (starts and optima),
`replicates` (optima for many responses at once).
"""
