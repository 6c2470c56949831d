"""Groups in the order of their effects, and what a rank means for a case.

Read `expected_rank` (ranks that allow for uncertainty), `re_impact` (groups of low, middle and high
rank) and `re_margins` (levels at given ranks).
"""
