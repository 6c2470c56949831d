"""`lmer`: a linear mixed model from lme4's formula, of a frame or of a source read in chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from merextras.mermod import MerMod
from merextras.model.fit.lmer import fit_formula, fit_source, read_products
from merextras.model.formula.parse import check_order
from merextras.model.settings.options import check_sigma, refuse_two_sigmas
from merextras.model.source.source import is_dask, is_source
from merextras.model.state.control import LmerControl


def lmer(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    freq_weights: Any = None,
    offset: Any = None,
    residual_by: str | Sequence[str] | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    cov_prior: Any = None,
    control: LmerControl | None = None,
    sigma: float | None = None,
    chunk_size: int | None = None,
    progress: bool | None = None,
) -> MerMod:
    """Fit a linear mixed model from lme4's formula, lme4's ``lmer``.

    Parameters
    ----------
    formula : str
        ``"y ~ x + (1 + x | g)"``. The fixed part and the effects left of a bar are Python formulas
        (patsy's, or formulaic's by `control`), with ``np`` and the caller's own names at hand: read
        a formula from someone else before running it. Right of a bar stands a grouping factor:
        ``g``, ``a:b``, or ``a/b`` for ``a`` and ``b:a``. ``||`` makes effects independent, each
        column of a factor on its own. ``offset(x)`` and backticks for odd names work.

        The effects' covariance is free, or has a structure: ``diag(x | g)`` independent effects,
        ``cs(0 + f | g)`` the same correlation of every two, ``ar1(0 + t | g)`` a correlation
        ``rho**d`` of effects d steps apart, in the order of the factor's levels. With ``hom=True``
        the effects of ``diag`` and ``cs`` have one standard deviation, with ``het=True`` those of
        ``ar1`` have one each.
    data : DataFrame, or a source of chunks
        pandas, polars, or anything with ``to_pandas``, in memory. Read in chunks, so that it need
        not fit there: a pyarrow Table or Dataset, a path or glob of parquet or CSV files, a list of
        frames, a function that gives an iterable of frames, a Dask DataFrame (see `cross_products`;
        the model keeps no rows, and `stream_rows` goes through them again).
    reml : bool
        Restricted maximum likelihood, or maximum likelihood.
    weights : (n,) array, Series or column name, optional
        Precision weights w: the residual variance of a row is sigma**2 / w. A row of weight zero
        is not an observation.
    freq_weights : the same, optional
        How many observations the row stands for.
    offset : the same, optional
        A known part of the expectation.
    residual_by : column name, or list of them, optional
        Groups of rows with residual standard deviations of their own (several columns: each
        combination that occurs), estimated jointly with everything else, as by nlme's
        ``varIdent``: a row's residual variance is sigma_h**2 / w. `sigma` is then by group.
    contrasts : mapping column -> str, optional
        ``{"class": "Sum"}``, ``{"class": "Treatment('b')"}``: patsy's contrasts.
    missing : {"drop", "raise", "keep"}
        Rows that miss a value of a variable of the model, R's ``na.omit``, ``na.fail`` and
        ``na.exclude``. But for ``"raise"`` the fit leaves them out (`n_dropped` counts them). After
        ``"keep"`` what has a value for each row (`fitted`, `residuals`, `weights`, `hatvalues`,
        `rstudent`, `cooks_distance`, `predict` and `simulate` without new data, `predict_interval`,
        `augment`, the rows of `check_outliers` and `cross_validate`) is by row of `data`, with NaN
        in those; the model frame and matrices, and what is drawn from rows, are of the others.
    cov_prior : {"wishart", "gamma", "invwishart"}, a prior, or a mapping of them, optional
        A prior of each term's covariance over sigma**2, blme's: the estimate is then the mode of
        the penalised likelihood. ``"wishart"`` (`Wishart`, blme's default) keeps variances off
        zero and correlations off their bounds, and moves little else: the remedy for a singular
        fit. `Gamma` and `InverseWishart`, too, have parameters; a mapping is by grouping factor
        (``{"school": "wishart"}``) or term (``{"(1 + x | school)": mx.Wishart(scale=4)}``), and
        terms that are not in it have no prior.
    control : LmerControl, optional
    sigma : float, optional
        The residual standard deviation of a row of weight one, where it is known and not to be
        estimated: ``sigma=1, weights=1 / v`` for estimates with sampling variances v, as in a
        meta-analysis. There may then be a group for each row. What is tested or simulated takes it
        for known; what is a test of the ratio to an estimated sigma (`exact_rlrt`) is refused, and
        so is `residual_by`. A `cov_prior` is of covariances over the sigma**2 that is given.
    chunk_size : int, optional
        Rows read at a time, 100 000 by default; given, a frame is read in chunks too.
    progress : bool, optional
        A progress bar on long passes over chunks; by default where someone is watching.

    Returns
    -------
    MerMod

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read (with a mark under the place), an unknown column, a design
        whose variances can't be told apart, values that are infinite or not numeric.

    Warns
    -----
    RankDeficientWarning
        Fixed-effects columns were dropped; ``fixef(add_dropped=True)`` shows them as NaN.
    SingularFitWarning, ConvergenceWarning

    Notes
    -----
    Newton steps with the average information on the profiled deviance (Bates et al. 2015,
    eq. 35 and 42), which a `cov_prior` adds its -2 log density to (Chung, Rabe-Hesketh, Dorie,
    Gelman & Liu 2013, Psychometrika 78): `log_lik` is then the likelihood alone, at that optimum,
    and no maximum: what compares maxima refuses or says so. Cost: one pass over the rows, then
    about five factorisations of the cross-products, linear in the levels of one factor and cubic in
    the smaller of two crossed ones.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> m.fixef().round(4)
    Intercept    251.4051
    Days          10.4673
    dtype: float64
    """
    check_order(formula, data)
    given: dict[str, Any] = {
        "weights": weights, "freq_weights": freq_weights, "offset": offset,
        "residual_by": residual_by, "contrasts": contrasts, "missing": missing,
    }  # fmt: skip
    how: dict[str, Any] = {
        "reml": reml, "cov_prior": cov_prior, "control": control, "sigma": sigma,
    }  # fmt: skip
    if chunk_size is not None or is_dask(data) or is_source(data):
        refuse_two_sigmas(check_sigma(sigma), residual_by)
        products = read_products(
            formula, data, chunk_size=chunk_size, progress=progress, depth=1, **given
        )
        return MerMod._of(fit_source(products, depth=1, **how))
    return MerMod._of(fit_formula(formula, data, depth=1, **given, **how))
