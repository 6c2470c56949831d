"""Likelihood profiles of all parameters."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from merextras.accessors.parameters import parameter_names
from merextras.foundation.arguments import check_choice, check_level
from merextras.inference.intervals.profiler import Profiler, levels_to
from merextras.inference.intervals.profiling import LinearProfiler
from merextras.inference.intervals.profiling_generalised import GeneralisedProfiler
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.state.penalised import refuse_penalised
from merextras.results.profiles.profile import Profile, select


def profile(
    model: FittedModel,
    which: str | Sequence[str] | None = None,
    *,
    level_max: float = 0.99,
    scale: str = "sdcor",
) -> Profile:
    """Profile the likelihood of the parameters, lme4's ``profile``.

    Parameters
    ----------
    which : str or sequence of str, optional
        Names of parameters, ``"theta_"`` (standard deviations, correlations, and sigma or a
        generalised model's dispersion) or ``"beta_"`` (fixed effects); by default all.
    level_max : float
        The highest level at which intervals will be wanted. Those of 50, 80, 90, 95 and 99 % and of
        `level_max` itself are exact, the others interpolated.
    scale : {"sdcor", "varcov"}
        Standard deviations and correlations, or variances and covariances.

    Returns
    -------
    Profile
        ``confint(level)``, ``zeta(parameter, value)``, ``value(parameter, zeta)``,
        ``to_frame()``.

    Raises
    ------
    InvalidArgumentError
        An unknown parameter, a level outside (0, 1), an unknown scale.
    ProfileError
        A profile that can't be followed: the estimate is not the optimum of the ML deviance, or
        a constrained minimisation fails. The message says of which parameter and where.
    UnsupportedModelError
        A model with a `cov_prior`.

    Warns
    -----
    ApproximationWarning
        A profile that turns back (the likelihood has another maximum in the parameter), or that
        jumps: of several minima with the parameter held, the lowest may not have been found.

    See Also
    --------
    merextras.plots.plot_profile_zeta : Also ``plot_profile_density`` and ``plot_profile_pairs``.

    Notes
    -----
    For a parameter phi with ML estimate phi^ and the deviance d of the model,

        zeta(phi0) = sign(phi0 - phi^) sqrt( min { d : phi = phi0 } - min d ),

    is approximately standard normal at the true value, and a straight line where a Wald interval is
    right (Bates et al. [1]_, section 5.1). It is always the *ML* deviance, of a REML fit too, as in
    lme4, since the REML criterion of models with another fixed part can't be compared. The
    intervals belong to the ML estimates for that reason. A model is not changed by its profile.

    An interval's end that the likelihood leaves open is the boundary (0 of a standard deviation,
    -1 and 1 of a correlation) or infinite, and the interval says why. Where a standard deviation is
    estimated as zero a correlation with it does not exist, and every value of it fits as well.

    An end at one of the levels that are exact is a root: where the curve has no point near enough
    it gets one there. Where a covariance has lost rank (a variance of zero, a correlation of one)
    there may be several minima with a parameter held: they are followed beside each other, searched
    for from inside, and the profile is of the lowest that is found. That takes some ten times as
    long.

    Each parameter is fixed by a chart of the covariances, and the others move by Newton steps with
    the average information. Cost: some twenty factorisations of the cross-products a parameter;
    no row is read. lme4 minimises without derivatives, at some 100 evaluations a point.

    Of a generalised model it is the deviance by the fit's own approximation, Laplace's or
    quadrature. For each value of a parameter the others are found by Newton's steps with the exact
    gradient, from the last value's; the curve has its exact slope at each point (the envelope
    theorem). Cost: some ten gradients for the Hessian and two or three for each of some twenty
    points a parameter.

    **R counterpart**: ``profile.merMod``; ``which`` takes its ``theta_`` and ``beta_``,
    ``level_max`` stands for ``alphamax`` and ``scale`` for ``prof.scale``.

    References
    ----------
    .. [1] Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. *Journal of Statistical Software* 67(1).

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> pr = m.profile()
    >>> pr.confint(0.95).round(1)
                                conf_low  conf_high
    sd_Intercept|Subject            14.4       37.7
    cor_Days.Intercept|Subject      -0.5        0.7
    sd_Days|Subject                  3.8        8.8
    sigma                           22.9       28.9
    Intercept                      237.7      265.1
    Days                             7.4       13.6
    >>> pr.zeta("sd_Days|Subject", [4.0, 8.0]).round(3)
    array([-1.722,  1.565])
    """
    refuse_penalised("profile", model)
    level_max = check_level(level_max, "level_max")
    check_choice(scale, ("sdcor", "varcov"), "scale")
    return _profile(model, which, "which", scale, levels_to(level_max))


def intervals(
    model: FittedModel, parm: str | Sequence[str] | None, level: float, *, scale: str = "sdcor"
) -> pd.DataFrame:
    """The intervals of a level: from profiles that have no exact ends of others."""
    refuse_penalised("profile", model)
    return _profile(model, parm, "parm", scale, (level,)).confint(level)


def _profile(
    model: FittedModel,
    which: str | Sequence[str] | None,
    argument: str,
    scale: str,
    levels: Sequence[float],
) -> Profile:
    """With exact ends at these levels, ascending."""
    names = parameter_names(model, scale)
    n_covariance = len(names) - len(model.fixed_estimates)
    wanted = select(which, names, names[:n_covariance], argument)
    found = _profiler(model, names, scale, levels).run(wanted)
    return Profile(
        {name: curve for name, (curve, _) in found.items()},
        {name: points for name, (_, points) in found.items()},
        names,
        n_covariance,
        levels[-1],
        scale,
        model.reml,
    )


def _profiler(
    model: FittedModel, names: Sequence[str], scale: str, levels: Sequence[float]
) -> Profiler:
    if isinstance(model, FittedGlmm):
        return GeneralisedProfiler.of(model, names, scale, levels)
    return LinearProfiler.of(model, names, scale, levels)
