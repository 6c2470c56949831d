"""Likelihood profiles.

`curve` (one parameter), `profile` (all), `contour` (regions of two).
"""
