"""Links with which the exponential of an effect is a ratio."""

from __future__ import annotations

#: By link: what the exponential of an effect is.
RATIOS = {"logit": "odds ratio", "log": "ratio", "cloglog": "hazard ratio"}
