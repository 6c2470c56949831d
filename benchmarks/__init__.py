"""Benchmarks: ours, R's lme4 and the other Python packages on the same data in one run."""
