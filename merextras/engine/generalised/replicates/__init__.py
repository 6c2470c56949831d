"""The criterion at many points of one model, or for many responses of its rows, all at once.

Read `layout` (sums over the rows of each level), `elimination` (the random effects of all
replicates at once), `modes` (their conditional modes), `problem` (the criterion and its exact
gradient, what `engine.replicates.descent` minimises) and `nearby` (gradients of one response around
a point). Arrays have the replicates last: numbers of rows are (n, R), blocks of a grouping factor
(k, k, J, R).
"""
