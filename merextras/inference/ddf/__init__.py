"""Degrees of freedom.

Read `contrasts` (parsing of linear hypotheses, their rank, the F test), `satterthwaite`,
`kenward_roger`, `clusters`, `robust` and `robust_generalised` (sandwich covariances), `method` (the
methods by name).
"""
