"""Intervals.

Read `confint`; `profile` with `profiling` and `profile_curve`; `bootstrap` with `replicates`
and `refits`; `sub_boot`.
"""
