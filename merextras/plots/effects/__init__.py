"""Random and fixed effects.

`caterpillar` (conditional modes with intervals), `lattice` (a panel for each group), `shrinkage`
(no, partial and complete pooling), `re_correlation` (effects against one another), `coef` (fixed
effects), `re_sim` (simulated effects; `sim_ranges` is what they draw), `expected_rank` and
`re_impact`.
"""
