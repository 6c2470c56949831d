"""Distributions and curves computed from numbers alone, on numpy, scipy and the engine.

`uncertainty` (linear functions of fixed effects, their standard errors and degrees of freedom),
`degrees` (those degrees of freedom, from the variance's derivatives), `simultaneous` (studentised
range, largest of several t), `multiplicity` (adjusted p-values and critical values), `curve` (the
profile of a parameter), `null_spectrum` and `rlrt_null` (the likelihood ratio of a variance that is
zero).
"""
