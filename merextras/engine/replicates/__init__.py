"""Fits to many responses of one design at once.

Read `responses` (their cross-products), `draws` (simulated cross-products), `problem` (the
deviance of all), `by_levels` and `whole` (its two evaluations), `search` (the minimisation),
`elsewhere` (other starts of singular ones), `fits` (what is found).
"""
