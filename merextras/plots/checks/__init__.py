"""Checks of a fit: residuals, quantiles, influence, and all of them on a page (`model_check`)."""
