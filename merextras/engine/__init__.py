"""The numerical core: cross-products, factorisation, deviance, optimiser; numpy and scipy only."""
