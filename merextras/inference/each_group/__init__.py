"""Models of each group alone, without pooling.

Read `lm_list` (the verb, and least squares) and `glm_list` (generalised linear models, and groups
that are separated).
"""
