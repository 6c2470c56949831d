"""Checks of the estimation itself.

Read `convergence` and `convergence_generalised` (gradient, Hessian and bounds at the optimum),
`singularity` (covariances of lost rank) and `laplace` (the error of Laplace's approximation).
"""
