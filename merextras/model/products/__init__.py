"""Cross-products of a model as an object that can be saved, sent and added.

Read `products`, `fit` (the model of some), `compatible` (may two be added?), `submodel` (fewer
terms). The file format: `file`, `container` (arrays in a zip), `blocks` (each array against the
header), `header`, `fields` and `described` (the header, checked value by value), `formula_of` (the
header against its formula).
"""
