"""Functions of R's arm in one namespace: ``mx.arm.sim(m)`` is ``mx.sim(m)``.

========================  ==========================================================================
``arm::display``          `display`, `fast_display`
``arm::se.coef``          `se_coef`, `se_fixef`, `se_ranef`
``arm::sigma.hat``        `sigma_hat`
``arm::sim``              `sim`, `sim_fitted` (``fitted`` of a sim), `mcsamp`
``arm::standardize``      `standardize`
``arm::extractDIC``       `extract_dic`
``arm::coefplot``         `plot_coef`
========================  ==========================================================================
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from merextras.inference.arm.dic import extract_dic
from merextras.inference.arm.display import display, fast_display
from merextras.inference.arm.standard_errors import se_coef, se_fixef, se_ranef, sigma_hat
from merextras.inference.arm.standardize import standardize
from merextras.simulation.mcsamp import mcsamp
from merextras.simulation.sim import sim, sim_fitted

if TYPE_CHECKING:
    from merextras.plots import plot_coef

__all__ = [
    "display",
    "extract_dic",
    "fast_display",
    "mcsamp",
    "plot_coef",
    "se_coef",
    "se_fixef",
    "se_ranef",
    "sigma_hat",
    "sim",
    "sim_fitted",
    "standardize",
]


def __getattr__(name: str) -> Any:
    """A plot on first use."""
    if name in __all__:
        return getattr(import_module("merextras.plots"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
