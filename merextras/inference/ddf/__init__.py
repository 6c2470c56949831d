"""Degrees of freedom.

Read `contrasts` (parsing of linear hypotheses, their rank, the F test), `satterthwaite`,
`kenward_roger`, `method` (the methods by name).
"""
