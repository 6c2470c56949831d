"""The methods for degrees of freedom by name, and the tables that tests are shown in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.estimates import mean_sigma
from merextras.distributions.degrees import Degrees, Moments
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.inference.ddf.contrasts import FTest, independent
from merextras.inference.ddf.kenward_roger import kenward_roger
from merextras.inference.ddf.robust import KINDS, robust
from merextras.inference.ddf.robust_generalised import robust_generalised
from merextras.inference.ddf.satterthwaite import in_basis, satterthwaite
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.results.base import Table

METHODS = ("satterthwaite", "kenward-roger", "asymptotic")
#: With the covariances that are robust: those of the model's own, and these.
ALL_METHODS = (*METHODS, *KINDS)
_SHORT = {
    "kr": "kenward-roger",
    "kenwardroger": "kenward-roger",
    "satt": "satterthwaite",
    "sat": "satterthwaite",
    "wald": "asymptotic",
    "normal": "asymptotic",
    "z": "asymptotic",
}
F_COLUMNS = ["sum_sq", "mean_sq", "num_df", "den_df", "statistic", "p_value"]


class Method(Protocol):
    """How the uncertainty of the variances enters a test of fixed effects."""

    @property
    def model(self) -> FittedModel:
        """The model whose estimates are tested."""
        ...

    @property
    def covariance(self) -> Array:
        """The covariance of the fixed effects that standard errors are from."""
        ...

    @property
    def inner(self) -> Array:
        """The same of X in the basis of the cross-products."""
        ...

    @property
    def degrees(self) -> Degrees:
        """What makes degrees of freedom of functions in the same basis."""
        ...

    @property
    def title(self) -> str:
        """The method's name in a heading."""
        ...

    def df(self, contrast: Array) -> float:
        """Degrees of freedom of a t test."""
        ...

    def joint(self, matrix: Array, gap: Array) -> FTest:
        """F test of several contrasts that are off by `gap`."""
        ...


@dataclass(frozen=True)
class Asymptotic:
    """The variances taken for known: normal and chi-square distributions.

    Attributes
    ----------
    model : FittedModel
    """

    model: FittedModel

    title = "the normal distribution"

    @property
    def covariance(self) -> Array:
        """``sigma**2 (X'V^-1 X)^-1``; of a generalised model from its information."""
        return self.model.fixed_covariance

    @property
    def inner(self) -> Array:
        """The same of X in the basis of the cross-products."""
        return self.model.basis_covariance

    @property
    def degrees(self) -> Degrees:
        """Infinite ones."""
        p = self.model.joint.p
        return Moments(self.inner, np.empty((0, p, p)), np.empty((0, 0)))

    def df(self, contrast: Array) -> float:
        """Infinite."""
        del contrast
        return np.inf

    def joint(self, matrix: Array, gap: Array) -> FTest:
        """Wald's test, the chi-square over its degrees of freedom."""
        _, gaps, variances = independent(in_basis(self.model, matrix), gap, self.inner)
        statistic = float(np.mean(gaps**2 / variances))
        return FTest(statistic, statistic, len(gaps), np.inf)


def check_method(ddf: object, allowed: Sequence[str] = ALL_METHODS) -> str:
    """The method's name; R's capitals and what people shorten it to are allowed."""
    if isinstance(ddf, str) and ddf.upper() in allowed:
        return ddf.upper()
    word = ddf.lower().replace("_", "-").replace(" ", "-") if isinstance(ddf, str) else ddf
    return check_choice(_SHORT.get(word, word) if isinstance(word, str) else word, allowed, "ddf")


def method_of(
    model: FittedModel,
    ddf: str,
    *,
    cluster: Any = None,
    stacklevel: int = 2,
    default: str = "asymptotic",
) -> Method:
    """The method of that name for a model; a warning points `stacklevel` calls above this.

    `cluster` is for the robust ones, see `merextras.inference.ddf.robust.robust`. A generalised
    model has the asymptotic one, which the verb's `default` stands for, and robust ones.
    """
    name = check_method(ddf)
    if cluster is not None and name not in KINDS:
        raise InvalidArgumentError(
            f"cluster: is for standard errors that are robust, ddf='CR0', 'CR1' or 'CR2', not for "
            f"ddf={ddf!r}"
        )
    if isinstance(model, FittedGlmm):
        if name in KINDS:
            return robust_generalised(model, name, cluster)
        if name not in {default, "asymptotic"}:
            raise UnsupportedModelError(
                f"ddf={ddf!r}: degrees of freedom are defined for linear models alone; the tests "
                "of a generalised model are asymptotic, ddf='asymptotic', or with cluster-robust "
                "standard errors ddf='CR0' or 'CR1'"
            )
        return Asymptotic(model)
    if name in KINDS:
        return robust(model, name, cluster)
    if name == "satterthwaite":
        return satterthwaite(model, stacklevel=stacklevel + 1)
    if name == "kenward-roger":
        return kenward_roger(model, stacklevel=stacklevel + 1)
    return Asymptotic(model)


def f_row(method: Method, matrix: Array, rhs: Array | None = None) -> list[float]:
    """The F test of ``L beta = rhs`` as a row of `F_COLUMNS`.

    The sums of squares are the unscaled F times sigma**2 (with residual variances by group their
    mean), on the scale of the response; a generalised model has none.
    """
    gap = matrix @ method.model.fixed_estimates - (0.0 if rhs is None else rhs)
    test = method.joint(matrix, gap)
    mean_sq = test.unscaled * mean_sigma(method.model) ** 2
    p_value = _f_tail(test)
    return [mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.statistic, p_value]


def chi2_row(method: Method, matrix: Array, rhs: Array | None = None) -> list[float]:
    """Wald's test of ``L beta = rhs``: chi-square, its degrees of freedom, p-value."""
    gap = matrix @ method.model.fixed_estimates - (0.0 if rhs is None else rhs)
    test = method.joint(matrix, gap)
    return [test.statistic * test.num_df, test.num_df, _f_tail(test)]


def f_table(rows: dict[str, list[float]]) -> pd.DataFrame:
    """Rows by term as a frame."""
    out = pd.DataFrame.from_dict(rows, orient="index", columns=F_COLUMNS, dtype=float)
    return Table.of(out.astype({"num_df": int}))


def _f_tail(test: FTest) -> float:
    if np.isinf(test.den_df):
        return float(stats.chi2.sf(test.statistic * test.num_df, test.num_df))
    return float(stats.f.sf(test.statistic, test.num_df, test.den_df))


def t_table(method: Method, matrix: Array, rhs: Array | None = None) -> pd.DataFrame:
    """A t test for each contrast: ``estimate std_error df statistic p_value``."""
    estimate = matrix @ method.model.fixed_estimates
    own = in_basis(method.model, matrix)
    std_error = np.sqrt(np.einsum("rk,kl,rl->r", own, method.inner, own))
    df = np.array([method.df(row) for row in matrix], dtype=float)
    statistic = (estimate - (0.0 if rhs is None else rhs)) / std_error
    return Table(
        {
            "estimate": estimate,
            "std_error": std_error,
            "df": df,
            "statistic": statistic,
            "p_value": 2.0 * stats.t.sf(np.abs(statistic), df),
        }
    )
