"""Which verbs are for linear models alone, and what a generalised model's user does instead.

Everything that a verb of the linear model computes comes from the engine's solution, which a
generalised model does not have: to ask for it is an error, which names the verb and what to do.
"""

from __future__ import annotations

import sys

from merextras.exceptions import UnsupportedModelError

_GENERAL = (
    "m.summary(), m.confint(), m.profile(), m.anova(other), m.drop1(), m.ranef(), m.predict(), "
    "m.residuals(), m.simulate() and m.refit() are available, and ranova, bootstrap, sim, tidy, "
    "emmeans, what_if, r2, icc, make_model, power and power_curve"
)
_EXACT = (
    "the exact null distribution is known for linear models alone; "
    "ranova(m, p_values=['mixture', 'bootstrap']) has its limit and simulates it"
)
#: What is not defined for a generalised model, or named otherwise: the reason and what to do.
INSTEAD = {
    "sigma": "a generalised model has no residual standard deviation; m.dispersion is what its "
    "family has",
    "sigma_hat": "a generalised model has no residual standard deviation; m.dispersion is what its "
    "family has",
    "reml_crit": "there is no restricted likelihood of a generalised model; m.log_lik() is the "
    "likelihood",
    "refit_ml": "a generalised model is fitted by maximum likelihood as it is; m.refit(y) fits "
    "another response",
    "vcov_adj": "Kenward-Roger's adjustment is defined for linear models alone; m.vcov() is from "
    "the observed information",
    "exact_rlrt": _EXACT,
    "exact_lrt": _EXACT,
    "to_statsmodels": "statsmodels has no such maximum-likelihood model; m.fixef(), m.vcov() and "
    "m.var_corr() have the estimates",
    "contest": "t and F tests are for linear models; m.summary() and m.anova() have Wald tests",
}


def linear_only(verb: str | None = None) -> UnsupportedModelError:
    """The error on a verb, by default the one that the user called."""
    verb = _called() if verb is None else verb
    instead = INSTEAD.get(
        verb, f"it is not available for generalised linear mixed models yet; {_GENERAL}"
    )
    return UnsupportedModelError(f"{verb}: {instead}")


def _called() -> str:
    """The outermost of our functions that are running."""
    frame, name = sys._getframe(1), "this"
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not (module == "merextras" or module.startswith("merextras.")):
            break
        if not frame.f_code.co_name.startswith(("<", "__")):
            name = frame.f_code.co_name
        if frame.f_back is None:
            break
        frame = frame.f_back
    return name
