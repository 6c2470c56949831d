"""Cross-products of a model as an object that can be saved, sent and added.

Read `products`, `fit` (the model of some), `compatible` (may two be added?), `file` (the file
format), `submodel` (fewer terms).
"""
