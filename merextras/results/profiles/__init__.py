"""Likelihood profiles.

`profile` (all parameters), `contour` (regions of two).
"""
