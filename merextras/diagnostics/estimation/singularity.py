"""Detection of singular covariances of the random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.design.design import Term
from merextras.model.state.fitted import is_singular
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import SingularityCheck

__all__ = ["check_singularity"]


def check_singularity(m: object, *, tol: float = 1e-4) -> SingularityCheck:
    """Say which variance is zero, or which effects are perfectly correlated.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    tol : float, default 1e-4
        The relative standard deviation below which one counts as zero, as in `MerMod.is_singular`.

    Returns
    -------
    SingularityCheck
        `singular`, `verdict`, `advice`; the table has a row per random effect: `relative_sd` is its
        standard deviation over sigma (of a model of `glmer` itself), `given_others` what is left of
        it given the effects before it in the term, the diagonal of theta. It is zero, while the
        former is not, where the effect is a combination of the others.

    Raises
    ------
    InvalidArgumentError
        A `tol` that is not a number from 0 to below 1.

    See Also
    --------
    MerMod.re_pca : The dimensions of a covariance.
    merextras.check_convergence : Whether the singular fit is a minimum.

    Notes
    -----
    R: ``lme4::isSingular``, ``performance::check_singularity`` (tolerance 1e-5). Cost: nothing.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.check_singularity(m)
    ok: no covariance of the random effects is singular
         group       term relative_sd given_others
    0  Subject  Intercept      0.9667       0.9667
    1  Subject       Days      0.2314       0.2309
    """
    model = as_fitted(m, generalised=True)
    is_number = isinstance(tol, (int, float, np.number)) and not isinstance(tol, bool)
    if not is_number or not 0.0 <= tol < 1.0:
        raise InvalidArgumentError(f"tol={tol!r}: a number from 0 to below 1")
    rows, found = [], []
    solution = model.joint
    each = zip(model.design.terms, solution.lams, solution.factor.lams, strict=True)
    for (term, lam, free), own in zip(each, solution.cp.basis.effects, strict=True):
        size, given = np.linalg.norm(lam, axis=1), np.diag(lam)
        values = zip(term.names, size, given, strict=True)
        rows += [(term.factor, name, a, b) for name, a, b in values]
        # Judged in units in which the covariates have mean square one, as `is_singular` does.
        rest = np.abs(np.diag(np.linalg.qr(free.T, mode="r")))  # of its triangle
        found += _lost(term, size < tol * own.sizes, rest < tol)
    table = pd.DataFrame(rows, columns=["group", "term", "relative_sd", "given_others"])
    if not is_singular(model, tol):
        text = "no covariance of the random effects is singular"
        return SingularityCheck(True, text, (), table)
    tests = "ranova or pb_modcomp" if model.is_generalised else "ranova, exact_rlrt or pb_modcomp"
    advice = (
        "the fixed effects and the other variances are valid; check_convergence(m) says whether "
        "the fit is a minimum",
        "the data do not support what was lost: leave that effect out, or its correlations with "
        f"'||', and test what stays by {tests}",
    )
    return SingularityCheck(False, "; ".join(found), advice, table)


def _lost(term: Term, zero: np.ndarray, dependent: np.ndarray) -> list[str]:
    """What is lost in one term."""
    out = [
        f"the variance of {name} by {term.factor} is zero"
        for name, lost in zip(term.names, zero, strict=True)
        if lost
    ]
    names = [n for n, d, z in zip(term.names, dependent, zero, strict=True) if d and not z]
    out += [
        f"{name} by {term.factor} is a combination of the term's other effects" for name in names
    ]
    return out
