"""Covariance parameters.

`covpar` maps theta, the free elements of the lower triangles, to the relative covariance
factors and back.
"""
