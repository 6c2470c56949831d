"""Results of tests between models.

`exact_test`, `pb_modcomp`, `f_modcomp`, `step`.
"""
