"""Intervals.

Read `confint`; `profile` with `profiler`, the way of both kinds of model, `profiling` (a linear
model's part of it), `profiling_generalised`, `profile_curve`, `profile_ends` and `profile_checks`;
`bootstrap` with `replicates` and `refits`, `bootstrap_generalised` and `load_bootstrap`;
`sub_boot`.
"""
