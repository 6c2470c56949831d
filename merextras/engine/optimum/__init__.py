"""Minimisation of the profiled deviance over theta.

Read `start` (moment estimates), `criterion` (chooses the cheaper evaluation), `repeated_levels`
(the evaluation by kinds of levels), `newton` (the search), `restarts` (other
starts, where there may be another minimum), `rays` (where there is none, and no search sees it),
`summary` (what is told of it).
"""
