"""Intervals.

Read `confint`; `profile` with `profiler` (`profiling` is a linear model's) and `profile_curve`;
`bootstrap` with `replicates` and `refits`; `sub_boot`.
"""
