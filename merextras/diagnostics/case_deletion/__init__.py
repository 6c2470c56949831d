"""Rows and groups that the estimates hang on.

Read `leverage` (leverages, studentised residuals, Cook's distances), `influence` (estimates without
each group or row), `influence_by_strata` (where residual variances differ by group) and
`influence_generalised`.
"""
