"""Functions of R's merTools in one namespace: ``mx.mertools.draw(m)`` is ``mx.draw(m)``.

==========================  ========================================================================
intervals of predictions    `predict_interval`
simulated effects           `re_sim`, `fe_sim`, `plot_re_sim`, `plot_fe_sim`
ranks and what they matter  `expected_rank`, `re_impact`, `re_margins`
parts of a model            `re_extract`, `re_sd_extract`, `re_corr_extract`, `re_quantile`,
                            `theta_extract`, `model_info`, `rmse`, `icc_from_data`
observations to vary        `draw`, `average_obs`, `random_obs`, `wiggle`, `super_factor`,
                            `find_form_funs`
many models                 `lmer_list`, `glmer_list`, `sub_boot`
==========================  ========================================================================
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from merextras.accessors.extract import (
    model_info,
    re_corr_extract,
    re_extract,
    re_quantile,
    re_sd_extract,
    theta_extract,
)
from merextras.diagnostics.residuals.rmse import rmse
from merextras.inference.intervals.sub_boot import sub_boot
from merextras.inference.variance_shares.icc_from_data import icc_from_data
from merextras.model_list import glmer_list, lmer_list
from merextras.prediction.cases.observations import average_obs, draw, find_form_funs, random_obs
from merextras.prediction.cases.wiggle import super_factor, wiggle
from merextras.prediction.ranks.expected_rank import expected_rank
from merextras.prediction.ranks.re_impact import re_impact
from merextras.prediction.ranks.re_margins import re_margins
from merextras.simulation.predict_interval import predict_interval
from merextras.simulation.re_sim import fe_sim, re_sim

if TYPE_CHECKING:
    from merextras.plots import plot_fe_sim, plot_re_sim

__all__ = [
    "average_obs",
    "draw",
    "expected_rank",
    "fe_sim",
    "find_form_funs",
    "glmer_list",
    "icc_from_data",
    "lmer_list",
    "model_info",
    "plot_fe_sim",
    "plot_re_sim",
    "predict_interval",
    "random_obs",
    "re_corr_extract",
    "re_extract",
    "re_impact",
    "re_margins",
    "re_quantile",
    "re_sd_extract",
    "re_sim",
    "rmse",
    "sub_boot",
    "super_factor",
    "theta_extract",
    "wiggle",
]


def __getattr__(name: str) -> Any:
    """Plots on first use."""
    if name in __all__:
        return getattr(import_module("merextras.plots"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
