"""Joint normal distribution of fixed and random effects given the data.

Read `joint`, then `leverage` (diagonal of the hat matrix) and `differences` (variances of
differences between levels).
"""
