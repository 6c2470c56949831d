"""Random and fixed effects: caterpillars, simulated ones, ranks and their impact, correlations."""
