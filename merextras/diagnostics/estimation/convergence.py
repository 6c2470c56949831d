"""The convergence check of a fit: gradient, Hessian, bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from merextras.accessors.theta import parameter_labels
from merextras.diagnostics.estimation.convergence_generalised import of_glmm, rooted
from merextras.engine.optimum.criterion import Point
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel, is_singular
from merextras.model.state.identified import confounded_terms
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.convergence import ConvergenceCheck

__all__ = ["check_convergence"]


def check_convergence(m: object) -> ConvergenceCheck:
    r"""Check that a fit is at a minimum of its criterion, and say what to do if it is not.

    With g the analytic gradient of the criterion in theta and H its Hessian (differences of g),
    three things make a minimum:

    - the scaled gradient :math:`H^{-1/2} g` is zero: 2e-3 is lme4's limit. It is the distance to
      the optimum in standard errors, up to a factor of :math:`\sqrt 2`;
    - H is positive definite over the elements that are not at their bound;
    - where a variance is at zero, the criterion would rise with it: the derivative in the
      covariance is positive semidefinite.

    And the estimate must be the only one: variances whose effects on the covariance of the
    observations are linearly dependent, given the fixed effects, can be split in any way.

    A singular fit can be a perfect minimum; it is reported beside the others. With a `cov_prior`
    the criterion is the penalised one. Of a model of `glmer` the parameters are theta, the fixed
    effects and the dispersion, and a separated response, which has no maximum, is named.

    Parameters
    ----------
    m : MerMod or MixedLMResults

    Returns
    -------
    ConvergenceCheck
        `converged`, the numbers, and `advice`.

    See Also
    --------
    merextras.all_fit : The same optimum by other optimisers.

    Notes
    -----
    R: ``lme4:::checkConv``, which every ``lmer`` runs, with gradient and Hessian by differences,
    whose noise makes false alarms on large data; ``performance::check_convergence``. Theta is
    judged in coordinates in which the covariates of a term are orthonormal, so that neither the
    unit of a slope nor where its zero is plays a part; `eigenvalues` and `scaled_gradient` are of
    these, `theta` and `gradient` of the effects as they are. Cost: two gradients per element of
    theta.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> check = mx.check_convergence(m)
    >>> check.converged, check.singular, check.advice
    (True, False, ())
    """
    model = as_fitted(m, generalised=True)
    if isinstance(model, FittedGlmm):
        return of_glmm(model)
    point, theta, units = model.point, model.point.theta, model.criterion.units
    slope = point.gradient() / units
    n_residual = model.criterion.parameters.n_residual
    bounded = np.append(model.design.covariances.at_least_zero, np.zeros(n_residual, dtype=bool))
    free = ~(bounded & (theta == 0.0))
    scaled_hessian = model.criterion.differenced(theta) / np.outer(units, units)
    hessian = scaled_hessian[np.ix_(free, free)]
    values, scaled, left = rooted(hessian, slope, free)
    names = parameter_labels(model.design)
    user = model.theta if model.design.residual is None else model.criterion.to_user(theta)
    factor = model.solution.factor
    check = ConvergenceCheck(
        names, user, point.user_gradient(), scaled, values,
        left,
        tuple(name for name, inside in zip(names, free, strict=True) if not inside),
        _pushes_inside(point), is_singular(model), (),
        tuple(confounded_terms(model.design.terms, factor.system.cp, factor.lams)),
        model.opt_summary is not None and model.opt_summary.unbounded,
    )  # fmt: skip
    return replace(check, advice=_advice(check, model))


def _pushes_inside(point: Point) -> bool:
    """Whether some covariance that has lost rank should not have."""
    return any(True for _ in point.inward(np.finfo(float).tiny))


def _advice(check: ConvergenceCheck, model: FittedModel) -> tuple[str, ...]:
    found = []
    if check.max_gradient > check.LIMIT or check.pushes_inside:
        if model.opt_summary is None:
            found.append(
                "the estimate is statsmodels' own, which stopped short of the optimum: leave out "
                "polish=False"
            )
        else:
            found.append(
                "give the optimiser more iterations (LmerControl(max_iterations=...)) or another "
                "start, and see all_fit(m)"
            )
    if check.unbounded:
        found.append(
            "the random effects can explain the response exactly: leave some out, or get more data"
        )
    if not check.is_minimum or check.confounded:
        found.append(
            "a combination of the variances is not identified by the data: see all_fit(m) for how "
            "far the estimates differ, and leave out a random-effects term or a correlation"
        )
    if check.singular:
        where = ", ".join(check.at_bound) or "a combination of effects"
        found.append(
            f"singular ({where}): the data do not support this variance or correlation. Fixed "
            "effects and other variances are valid; to simplify, leave the effect out or use '||', "
            "and test it by ranova, exact_rlrt or pb_modcomp; to keep it, give it a weak prior, "
            "m.update(cov_prior='wishart')"
        )
    return tuple(found)
