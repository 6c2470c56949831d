"""Many responses of the same rows: their refits all together.

Read `layout` (sums over the rows of each level), `elimination` (the random effects of all
replicates at once), `modes` (their conditional modes), `problem` (the criterion and its exact
gradient, what `engine.replicates.descent` minimises) and `search` (which of them are searched so,
and which one by one). Arrays have the replicates last: numbers of rows are (n, R), blocks of a
grouping factor (k, k, J, R).
"""
