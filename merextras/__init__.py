"""lme4's answers for statsmodels' mixed models."""

from merextras.datasets import load_dataset
from merextras.mermod import MerMod

__all__ = ["MerMod", "load_dataset"]
