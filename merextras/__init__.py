"""lme4's answers for statsmodels' mixed models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from merextras.datasets import load_dataset
from merextras.diagnostics.convergence import check_convergence
from merextras.inference.all_fit import all_fit
from merextras.inference.bootstrap import bootstrap
from merextras.inference.contest import contest
from merextras.inference.dic import extract_dic
from merextras.inference.display import display
from merextras.inference.exact_lrt import exact_lrt, exact_rlrt
from merextras.inference.kenward_roger import vcov_adj
from merextras.inference.pb_modcomp import pb_modcomp
from merextras.inference.ranova import ranova
from merextras.inference.rlrt_null import lrt_sim, rlrt_sim
from merextras.inference.standard_errors import se_coef, se_fixef, se_ranef, sigma_hat
from merextras.inference.standardize import standardize
from merextras.mermod import MerMod, lmer
from merextras.model.control import LmerControl
from merextras.prediction.what_if import what_if
from merextras.simulation.mcsamp import mcsamp
from merextras.simulation.re_sim import fe_sim, re_sim
from merextras.simulation.sim import sim, sim_fitted

if TYPE_CHECKING:
    from merextras.plots import (
        plot_exact_test,
        plot_fe_sim,
        plot_profile_density,
        plot_profile_pairs,
        plot_profile_zeta,
        plot_ranef,
        plot_re_sim,
        plot_what_if,
        xyplot,
    )

__all__ = [
    "FEsim",
    "LmerControl",
    "MerMod",
    "REsim",
    "all_fit",
    "bootstrap",
    "check_convergence",
    "contest",
    "display",
    "exactLRT",
    "exactRLRT",
    "exact_lrt",
    "exact_rlrt",
    "extract_dic",
    "fe_sim",
    "lmer",
    "load_dataset",
    "lrt_sim",
    "mcsamp",
    "pb_modcomp",
    "plotREsim",
    "plot_exact_test",
    "plot_fe_sim",
    "plot_profile_density",
    "plot_profile_pairs",
    "plot_profile_zeta",
    "plot_ranef",
    "plot_re_sim",
    "plot_what_if",
    "ranova",
    "re_sim",
    "rlrt_sim",
    "se_coef",
    "se_fixef",
    "se_ranef",
    "sigma_hat",
    "sim",
    "sim_fitted",
    "standardize",
    "vcov_adj",
    "what_if",
    "xyplot",
]


def __getattr__(name: str) -> Any:
    """The plots and R's spellings on first use: importing the package loads no plotting library."""
    if name in __all__:
        room = "merextras.plots" if name.startswith("plot_") or name == "xyplot" else "merextras.r"
        return getattr(import_module(room), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
