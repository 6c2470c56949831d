"""The refusal of verbs for linear models alone, with a generalised model's alternative.

Everything that a verb of the linear model computes comes from the engine's solution, which a
generalised model does not have: to ask for it is an error, which names the verb and what to do.
"""

from __future__ import annotations

import sys

from merextras.exceptions import UnsupportedModelError

_GENERAL = (
    "m.summary(), m.confint(), m.anova(other), m.predict(), m.residuals(), m.simulate(), "
    "m.influence() and m.refit() are available, and emmeans, what_if, re_sim, expected_rank, "
    "model_checks, bootstrap, cross_validate, tidy, r2, icc, make_model, power and power_curve"
)
_FTEST = (
    "its F test needs degrees of freedom, which are defined for linear models alone; "
    "contest(m, ...) and m.anova() have Wald tests, pb_modcomp(m, small) simulates"
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
    "vcov_adj": "Kenward-Roger's adjustment is defined for linear models alone; m.vcov() is from "
    "the observed information",
    "exact_rlrt": _EXACT,
    "exact_lrt": _EXACT,
    "to_statsmodels": "statsmodels has no such maximum-likelihood model; m.fixef(), m.vcov() and "
    "m.var_corr() have the estimates",
    "kr_modcomp": _FTEST,
    "sat_modcomp": _FTEST,
    "ls_means": "its t tests need degrees of freedom, which are defined for linear models alone; "
    "emmeans(m, specs='x') has the same means with asymptotic tests",
    "extract_dic": "the DIC is of a deviance that a restricted likelihood is compared with; "
    "m.aic() is of the likelihood",
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
