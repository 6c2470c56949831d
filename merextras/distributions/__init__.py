"""Distributions and multiplicity adjustments, on numpy and scipy alone.

`simultaneous` (studentised range, largest of several t), `multiplicity` (adjusted p-values and
critical values).
"""
