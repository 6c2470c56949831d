"""The optimum of a generalised model's criterion.

Read `start` and `streamed_start` (starting values), `steps` (Newton's step), `optimum` (where a
search ended, and the information there), `search` (jointly in all parameters), `held` (with one
parameter held), `reoptimiser` (for many responses of the same rows) and `separation` (a direction
along which there is no optimum).
"""
