"""Degrees of freedom.

Read `contrasts` (parsing of linear hypotheses, their rank, the F test), `satterthwaite`,
`kenward_roger`, `clusters` and `robust` (sandwich covariances), `method` (the methods by name).
"""
