"""Designs: a formula with a frame, or with sums of its rows.

Read `questions` (what every design answers), `design` (with rows), `rowless` (without), `build`
(formula and frame to arrays), `user_rows` (rows of the user's table that the fit does not have),
`offset`, `effects` and `rowless_effects` (which columns belong to which term), `variables` (what a
reference grid is made of), `rank` (dependent columns), `sanity` (identifiability checks), `room`
(memory, said before it is taken), `resample_rows` and `resample_groups` (designs of a bootstrap).
"""
