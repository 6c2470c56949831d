"""The random effects: how many dimensions they have, and how far they are shrunk.

Read `re_pca` (principal components of their covariance) and `shrinkage` (coefficients by level with
no, partial and complete pooling).
"""
