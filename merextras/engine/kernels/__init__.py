"""Linear algebra that everything else stands on.

`blocks` (batches of small dense blocks, one per level), `dense` (one dense matrix), `sparse`
(column-compressed matrices with a fixed pattern), `leading` (blocks of many levels and replicates
whose elements lead), `by_level` (least squares of each level), `cubic` (cubics through two points
with slopes).
"""
