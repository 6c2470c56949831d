"""R's calls that are more than another name: a short function each, for the table in `merextras.r`.

What R's call takes and ours does not, what it returns in another shape, and what it does with the
results of other functions. There is no statistics here: each ends in one of ours. `fitting` has
``lmer``, ``glmer`` and their controls, `estimates` the accessors and intervals, `scales` what R
answers on another scale of a generalised model, `verbs` what emmeans, merTools and R itself have,
`figures` lattice's. `links` has R's default links, `spelling` what a line of the table is made of.
"""
