"""Cases to predict for: made from a model, varied, or moved to other levels.

Read `observations` (the average case, or one at random) and `wiggle` (copies with other values),
then `reassign` (a case in other levels of a factor) and `reassigned_rows` (its linear predictor,
part by part, with variances).
"""
