"""Fits to many responses of one design at once.

Read `responses` (their cross-products), `draws` (simulated cross-products), `searched` (what a
search asks of many criteria), `problem` (the deviance of all), `by_levels` and `whole` (its
evaluations with a matrix a replicate), `iterated` with `shared_part` (that with one factor for
all), `descent` (the search), `search` (which of these is taken), `elsewhere` (other starts of
singular ones), `fits` (what is found).
"""
