"""From a formula and a frame to a design.

Read `options` (evaluation context), `design` (the arrays), `build` (making them), `sanity`
(identifiability checks), `rank` (dependent columns), `effects` (which columns belong to which
term), `resample_rows` (designs of a bootstrap of rows).
"""
