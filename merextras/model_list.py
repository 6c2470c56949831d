"""`ModelList`: one model fitted to several data sets, imputed or split."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
import numpy as np
import pandas as pd

from merextras.accessors.ratios import check_ratio
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice, check_jobs, one_of
from merextras.glmermod import GlmerMod
from merextras.inference.fixed_effects.pooling import pool_fixef
from merextras.inference.model_summaries import pooled_ranef, pooled_var_corr, re_stats
from merextras.mermod import MerMod
from merextras.model.columns.fixed import Scope
from merextras.model.fit.lmer import fit_options
from merextras.model.frame.read import as_pandas
from merextras.model.generalised.fit import fit_options as fit_generalised
from merextras.model.generalised.fit import read_request
from merextras.model.generalised.fit import warn_of as warn_of_generalised
from merextras.model.settings.cov_prior import check_cov_prior
from merextras.model.settings.options import MISSING, Options, callers_names
from merextras.model.state.control import LmerControl
from merextras.model.state.fitting import warn_of
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.estimates.pooled import Pooled
from merextras.results.estimates.ranef import Ranef
from merextras.results.estimates.var_corr import VarCorr
from merextras.results.ratios import as_ratios


class ModelList(Sequence[MerMod]):
    """Fits of one model to several data sets, merTools' ``merModList``.

    Parameters
    ----------
    models : iterable of MerMod or MixedLMResults, or mapping from name to one
        Two or more, with the same response, fixed effects and random-effects terms, all by REML or
        all by ML. Levels of the grouping factors may differ.

    Attributes
    ----------
    names : tuple of str

    Raises
    ------
    InvalidArgumentError
        Fewer than two fits, or fits of different models.

    Notes
    -----
    `fixef`, `ranef`, `var_corr` are means over the fits. `pool` is Rubin's rule, which is for
    multiply imputed data: for data that were split, the fits' standard errors are of different
    rows, and the pooled ones have no meaning.

    merTools' ``modelFixedEff`` averages standard errors where Rubin averages variances, divides the
    variance between fits by m and takes no root; its ``ranef`` reads the first fit alone. These
    follow the rule.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> by_class = {name: part for name, part in students.groupby("class")}
    >>> fits = mx.lmer_list("extro ~ open + (1 | school)", by_class)
    >>> fits.fixef().round(2)
    Intercept    60.02
    open          0.01
    dtype: float64
    """

    def __init__(self, models: Iterable[object] | Mapping[str, object]) -> None:
        if isinstance(models, Mapping):
            self.names = tuple(str(name) for name in models)
            models = list(models.values())
        else:
            models = list(models)
            self.names = tuple(str(i) for i in range(len(models)))
        self._models = tuple(_as_mermod(model) for model in models)
        if len(self._models) < 2:
            raise InvalidArgumentError(
                f"models: {len(self._models)} fit(s); two or more are needed to say how they differ"
            )
        for name, model in zip(self.names[1:], self._models[1:], strict=True):
            _check_same(self._models[0], model, self.names[0], name)

    def __len__(self) -> int:
        return len(self._models)

    def __getitem__(self, key: Any) -> Any:
        """One fit, by name or place; a slice gives a tuple of them."""
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"{key!r}; {one_of(key, self.names)}")
            return self._models[self.names.index(key)]
        return self._models[key]

    def __iter__(self) -> Iterator[MerMod]:
        return iter(self._models)

    def __repr__(self) -> str:
        return (
            f"{len(self)} fits of {self._models[0].design.formula}\n\nFixed effects, means:\n"
            f"{self.fixef().to_string()}\n\nRandom effects, means of variances:\n{self.var_corr()}"
        )

    def fixef(self) -> pd.Series:
        """Means of the fixed effects over the fits, (p,)."""
        return self.estimates().mean(axis=0)

    def estimates(self) -> pd.DataFrame:
        """Fixed effects of each fit, (m, p)."""
        first = self._models[0]
        values = np.array([model.fixed_estimates for model in self])
        return pd.DataFrame(values, index=list(self.names), columns=list(first.design.fixed.names))

    def ranef(self) -> Ranef:
        """Means of the conditional modes; `post_var` holds their variances by Rubin's rules.

        Over the fits that have a level; one of a single fit has no variance (NaN).
        """
        return pooled_ranef(self._models)

    def var_corr(self) -> VarCorr:
        """Means over the fits of the covariance matrices and of sigma**2 (variances, not SDs)."""
        return pooled_var_corr(self._models)

    def re_stats(self) -> pd.DataFrame:
        """How SDs and correlations differ between the fits: ``group term mean median sd``.

        merTools' ``modelRandEffStats``. `sd` has the divisor m - 1.
        """
        return re_stats(self._models)

    def pool(
        self, *, level: float = 0.95, ddf: str | None = None, exponentiate: bool = False
    ) -> Pooled:
        """Fixed effects by Rubin's rules.

        Parameters
        ----------
        level : float
        ddf : {None, "satterthwaite", "kenward-roger", "asymptotic"}
            Degrees of freedom that complete data would have: n - p, the mean of a method's over
            the fits, or infinitely many.
        exponentiate : bool
            Of models of `glmer` with a logit, log or complementary log-log link: the table's
            effects as ratios of odds, rates or hazards, as in `tidy`. The matrices are those of
            the effects.

        Returns
        -------
        Pooled
            `.table` has ``term estimate std_error statistic df p_value conf_low conf_high riv
            fmi``; the matrices `within`, `between`, `total` are variances.

        Notes
        -----
        ``T = W + (1 + 1/m) B`` (Rubin 1987, eq. 3.1.5) and Barnard and Rubin's (1999, eq. 3)
        degrees of freedom. The variance parameters of each fit are taken as known, as in its own
        standard errors; `ddf` makes up for that.
        """
        ratio = check_ratio(self._models[0], exponentiate, "exponentiate")
        pooled = pool_fixef(self._models, level=level, ddf=ddf)
        return replace(pooled, table=as_ratios(pooled.table)) if ratio else pooled


def _as_mermod(model: object) -> MerMod:
    fitted = as_fitted(model, generalised=True)
    return fitted if isinstance(fitted, MerMod) else MerMod._of(fitted._fit)


def _check_same(one: MerMod, other: MerMod, name: str, other_name: str) -> None:
    """Raise unless two fits are of one model."""
    for what, shown in _SHOWN.items():
        if shown(one) != shown(other):
            raise InvalidArgumentError(
                f"models: {what} of {name!r} and {other_name!r} differ: {shown(one)} and "
                f"{shown(other)}"
            )


_SHOWN: Mapping[str, Callable[[MerMod], str]] = {
    "response": lambda m: m.design.response,
    "fixed effects": lambda m: ", ".join(m.design.fixed.names),
    "random effects": lambda m: " + ".join(
        f"({' + '.join(term.names)} | {term.factor})" for term in m.design.terms
    ),
    "criterion": lambda m: "REML" if m.is_reml() else "ML",
    "family": lambda m: m.family(),
}


def lmer_list(
    formula: str,
    datasets: Iterable[Any] | Mapping[str, Any],
    *,
    reml: bool = True,
    weights: str | None = None,
    freq_weights: str | None = None,
    offset: str | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    cov_prior: Any = None,
    control: LmerControl | None = None,
    n_jobs: int = 1,
) -> ModelList:
    """Fit one formula to each of several data sets, merTools' ``lmerModList``.

    Parameters
    ----------
    formula : str
        As of `lmer`.
    datasets : iterable of DataFrame, or mapping from name to one
        Multiply imputed data, or parts of a split table.
    reml, contrasts, missing, cov_prior, control
        As of `lmer`.
    weights, freq_weights, offset : str, optional
        Columns of every data set.
    n_jobs : int
        Threads (joblib); another backend chosen with ``joblib.parallel_config`` is used, where the
        formula may then name no functions of your own. The result does not depend on it.

    Returns
    -------
    ModelList

    Raises
    ------
    InvalidArgumentError
        As of `lmer`, naming the data set; fewer than two data sets.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        Once for all fits that it concerns, which it names.

    Examples
    --------
    >>> import merextras as mx, numpy as np
    >>> sleep, rng = mx.load_dataset("sleepstudy"), np.random.default_rng(1)
    >>> imputed = [sleep.assign(Reaction=sleep.Reaction + rng.normal(0, 5, 180)) for _ in range(4)]
    >>> fits = mx.lmer_list("Reaction ~ Days + (Days | Subject)", imputed)
    >>> fits.pool().table[["term", "estimate", "std_error"]].round(1)
            term  estimate  std_error
    0  Intercept     251.3        6.7
    1       Days      10.4        1.5
    """
    control = LmerControl() if control is None else control
    options = Options(
        missing=check_choice(missing, MISSING, "missing"),
        contrasts=dict(contrasts or {}),
        scope=Scope(callers_names(1), control.formula_engine),
        cov_prior=check_cov_prior(cov_prior),
    )
    columns = {"weights": weights, "freq_weights": freq_weights, "offset": offset}
    one = partial(fit_options, reml=reml, control=control, stacklevel=4)
    fits = _fit_each(one, formula, datasets, options, columns, n_jobs)
    _warn_together(fits, warn_of)
    return ModelList({name: MerMod._of(fit) for name, fit in fits.items()})


def glmer_list(
    formula: str,
    datasets: Iterable[Any] | Mapping[str, Any],
    family: object = "binomial",
    *,
    n_agq: int = 1,
    weights: str | None = None,
    offset: str | None = None,
    dispersion: float | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    control: LmerControl | None = None,
    n_jobs: int = 1,
) -> ModelList:
    """Fit one generalised formula to each of several data sets, merTools' ``glmerModList``.

    Parameters
    ----------
    formula : str
        As of `glmer`.
    datasets : iterable of DataFrame, or mapping from name to one
        Multiply imputed data, or parts of a split table.
    family, n_agq, dispersion, contrasts, missing, control
        As of `glmer`.
    weights, offset : str, optional
        Columns of every data set: numbers of trials, and a known part of the linear predictor.
    n_jobs : int
        Threads (joblib), as of `lmer_list`.

    Returns
    -------
    ModelList
        Whose ``pool()`` is Rubin's rule for the fixed effects.

    Raises
    ------
    InvalidArgumentError, UnsupportedModelError
        As of `glmer`, the former naming the data set; fewer than two data sets.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        Once for all fits that it concerns, which it names.

    Examples
    --------
    >>> import merextras as mx, numpy as np
    >>> cbpp, rng = mx.load_dataset("cbpp"), np.random.default_rng(1)
    >>> imputed = [cbpp.assign(x=rng.normal(size=56)) for _ in range(4)]
    >>> fits = mx.glmer_list("cbind(incidence, size - incidence) ~ x + (1 | herd)", imputed)
    >>> fits.pool().table[["term", "estimate", "std_error"]].head(1).round(2)
            term  estimate  std_error
    0  Intercept     -2.05       0.25
    """
    request = read_request(family, dispersion, n_agq, False, control)
    options = Options(
        missing=check_choice(missing, MISSING, "missing"),
        contrasts=dict(contrasts or {}),
        scope=Scope(callers_names(1), request.control.formula_engine),
    )
    columns = {"weights": weights, "offset": offset}
    one = partial(fit_generalised, request=request, stacklevel=4)
    fits = _fit_each(one, formula, datasets, options, columns, n_jobs)
    _warn_together(fits, warn_of_generalised)
    return ModelList({name: GlmerMod._of(fit) for name, fit in fits.items()})


def _fit_each(
    one: Callable[..., Any],
    formula: str,
    datasets: Iterable[Any] | Mapping[str, Any],
    options: Options,
    columns: Mapping[str, str | None],
    n_jobs: int,
) -> dict[str, Any]:
    """The fits by name of the data set; `one` fits a formula to a frame with its options."""
    frames = dict(datasets) if isinstance(datasets, Mapping) else dict(_numbered(datasets))
    for name, column in columns.items():
        if column is not None and not isinstance(column, str):
            raise InvalidArgumentError(
                f"{name}={type(column).__name__}: the name of a column of every data set"
            )
    fits = joblib.Parallel(n_jobs=check_jobs(n_jobs), prefer="threads")(
        joblib.delayed(_fit)(one, str(name), formula, data, options, columns)
        for name, data in frames.items()
    )
    return dict(zip(map(str, frames), fits, strict=True))


def _numbered(datasets: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(datasets, pd.DataFrame):
        raise InvalidArgumentError(
            "datasets: a DataFrame is one data set; give a list of them, or "
            "dict(list(data.groupby('column')))"
        )
    return ((str(i), data) for i, data in enumerate(datasets))


def _fit(
    one: Callable[..., Any],
    name: str,
    formula: str,
    data: Any,
    options: Options,
    columns: Mapping[str, str | None],
) -> Any:
    frame = as_pandas(data)
    try:
        return one(formula, frame, options.with_rows(frame, **columns))
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"data set {name!r}: {err}") from err


def _warn_together(fits: Mapping[str, Any], warn: Callable[..., None]) -> None:
    """Each kind of warning once, with the names of the data sets."""
    found: dict[tuple[type[Warning], str], list[str]] = {}
    for name, fit in fits.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn(fit, stacklevel=1)
        for one in caught:
            found.setdefault((one.category, str(one.message)), []).append(name)
    for (category, message), names in found.items():
        text = f"{len(names)} of {len(fits)} fits ({', '.join(names)}): {message}"
        warnings.warn(text, category, stacklevel=3)
