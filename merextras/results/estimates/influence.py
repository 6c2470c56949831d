"""Estimates without each group or observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult

__all__ = ["Influence"]

_DEFINITIONS = ("standard", "lme4")
# Deletions that are printed.
_SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class Influence(FrozenArrays, TextResult):
    """What `MerMod.influence` returns: the estimates without each of m deletions.

    A deletion is a level of a factor, or a case. Its numbers are NaN where the rest of the data
    have no fit; `reasons` says why.

    Parameters
    ----------
    group : str
        The factor whose levels were deleted, ``"case"`` for single observations.
    levels : Index, (m,)
        The levels, or the labels of the rows.
    names : tuple of str
        The p fixed effects.
    parameter_names : tuple of str
        Standard deviations and correlations of the random effects (``sd_x|g``, ``cor_y.x|g``) and
        ``sigma`` (residual variances by group: ``sigma_I`` and so on), as in `MerMod.confint`.
    beta, vcov, parameters, theta : (p,), (p, p), (s,) and (n_theta,) arrays
        Of the fit to all data: fixed effects, their covariance, what `parameter_names` names (SD
        scale), the relative covariance factors.
    betas, std_errors, parameter_values, thetas : (m, ...) arrays
        The same (of the covariance its diagonal's square root) without each.
    cov_ratio, cov_trace, displacement : (m,) arrays
        See `measures`.
    n_deleted : (m,) array
        Observations that were deleted.
    method : str
        ``"full"`` or ``"one-step"``.
    reml : bool
    reasons : mapping position -> str
        Why a deletion has no estimates.
    whitening : (p, p) array, optional
        H with ``H vcov H' = 1``; by default from `vcov`, which has fewer digits where zero is far
        from a covariate's values.
    known_sigma : float, optional
        The residual standard deviation where it is given; it is no parameter then.

    Notes
    -----
    Differences are estimates without a group less those with it, as lme4's ``dfbeta`` has them; R's
    ``dfbeta`` of an ``lm`` has the other sign.
    """

    group: str
    levels: pd.Index
    names: tuple[str, ...]
    parameter_names: tuple[str, ...]
    beta: Array
    vcov: Array
    parameters: Array
    theta: Array
    betas: Array
    std_errors: Array
    parameter_values: Array
    thetas: Array
    cov_ratio: Array
    cov_trace: Array
    displacement: Array
    n_deleted: Array
    method: str
    reml: bool
    reasons: Mapping[int, str] = field(default_factory=dict)
    whitening: Array | None = None
    known_sigma: float | None = None

    _arrays = (
        "beta", "vcov", "parameters", "theta", "betas", "std_errors", "parameter_values", "thetas",
        "cov_ratio", "cov_trace", "displacement", "n_deleted", "whitening",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "reasons", dict(self.reasons))

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def index(self) -> pd.Index:
        """The levels, named by their factor."""
        return self.levels.rename(self.group)

    @property
    def fixef(self) -> pd.DataFrame:
        """Fixed effects without each, (m, p)."""
        return self._frame(self.betas, self.names)

    @property
    def std_error(self) -> pd.DataFrame:
        """Standard errors of the fixed effects without each, (m, p)."""
        return self._frame(self.std_errors, self.names)

    @property
    def var_corr(self) -> pd.DataFrame:
        """Standard deviations and correlations of the random effects and sigma without each."""
        return self._frame(self.parameter_values, self.parameter_names)

    def _sigmas(self) -> Array | float:
        """The residual standard deviation without each, the largest of several, or the known."""
        if self.known_sigma is not None:
            return self.known_sigma
        at = [i for i, name in enumerate(self.parameter_names) if name.startswith("sigma")]
        return np.asarray(np.fmax.reduce(self.parameter_values[:, at], axis=1))

    @property
    def change(self) -> pd.DataFrame:
        """Change of each standard deviation and of sigma in percent of the estimate, (m, ...).

        NaN for one that is zero, and not given for correlations.
        """
        at = [i for i, name in enumerate(self.parameter_names) if not name.startswith("cor_")]
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = self.parameter_values[:, at] / self.parameters[at] - 1.0
        relative[:, self.parameters[at] == 0.0] = np.nan
        return self._frame(100.0 * relative, [self.parameter_names[i] for i in at])

    def dfbeta(self) -> pd.DataFrame:
        """Change of each fixed effect, ``beta_(g) - beta``, (m, p)."""
        return self._frame(self.betas - self.beta, self.names)

    def dfbetas(self) -> pd.DataFrame:
        """Change of each fixed effect over its standard error without the group, (m, p).

        Belsley, D. A., Kuh, E. and Welsch, R. E. (1980), *Regression Diagnostics*, eq. 2.7; they
        call 2 / sqrt(m) large.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._frame((self.betas - self.beta) / self.std_errors, self.names)

    def _whitening(self) -> Array:
        if self.whitening is not None:
            return self.whitening
        # In units of the standard errors: V can be of any condition.
        size = np.sqrt(np.diag(self.vcov))
        low = np.linalg.cholesky(self.vcov / np.outer(size, size))
        return np.asarray(np.linalg.inv(low) / size)

    def cooks_distance(self, definition: str = "standard") -> pd.Series:
        r"""Cook's distance of each deletion, (m,).

        .. math:: D_g = (\hat\beta_{(g)} - \hat\beta)' V^{-1} (\hat\beta_{(g)} - \hat\beta) / p

        with V the covariance of the fixed effects of the fit to all data (Cook, R. D. (1977),
        *Technometrics* 19, 15-18; Demidenko, E. (2004), *Mixed Models*, section 4.3.3).

        Parameters
        ----------
        definition : {"standard", "lme4"}
            lme4's is (m - p) / m times the formula, m being the number of deletions: it scales V as
            if it were a maximum likelihood estimate from m observations, which it is not.
        """
        check_choice(definition, _DEFINITIONS, "definition")
        p, moved = len(self.names), self.betas - self.beta
        if p == 0:
            return pd.Series(np.full(len(self), np.nan), self.index, name="cooks_distance")
        found = np.sum((moved @ self._whitening().T) ** 2, axis=1) / p
        if definition == "lme4":
            found = found * (len(self) - p) / len(self)
        return pd.Series(found, index=self.index, name="cooks_distance")

    def measures(self) -> pd.DataFrame:
        """One row per deletion, by level.

        Returns
        -------
        DataFrame
            ``n_deleted`` observations; ``cooks_distance``; ``cov_ratio``, det V_(g) / det V of the
            fixed effects' covariance, below one where the group costs precision; ``cov_trace``,
            ``|tr(V^-1 V_(g)) - p|`` (Christensen, R., Pearson, L. M. and Johnson, W. (1992),
            *Technometrics* 34, 38-45); ``displacement``, twice the log-likelihood that all data
            lose at the estimates without the group (Cook, R. D. (1986), *J. R. Statist. Soc. B*
            48, 133-169; for REML of the restricted one, in theta and sigma alone), NaN for one
            step; ``singular``, whether a variance or correlation without it is at its bound.
        """
        low, sigma = np.zeros(len(self), dtype=bool), self._sigmas()
        for j, name in enumerate(self.parameter_names):
            values = self.parameter_values[:, j]
            if name.startswith("sd_"):
                low |= values <= 1e-4 * sigma
            elif name.startswith("cor_"):
                low |= np.abs(values) >= 1.0 - 1e-8
        columns = {
            "n_deleted": self.n_deleted.astype(int),
            "cooks_distance": self.cooks_distance().to_numpy(),
            "cov_ratio": np.array(self.cov_ratio),
            "cov_trace": np.array(self.cov_trace),
            "displacement": np.array(self.displacement),
            "singular": low,
        }
        return pd.DataFrame(columns, index=self.index)

    def to_frame(self) -> pd.DataFrame:
        """One row per deletion and parameter, the fixed effects first.

        Returns
        -------
        DataFrame
            ``group level term estimate std_error change dfbetas percent``: the estimate without
            the group (standard deviations, not variances), the standard error of a fixed effect,
            the change from the fit to all data, that over the standard error, and that of a
            standard deviation in percent.
        """
        terms = [*self.names, *self.parameter_names]
        m, p, s = len(self), len(self.names), len(self.parameter_names)
        estimate = np.hstack([self.betas, self.parameter_values])
        none = np.full((m, s), np.nan)
        percent = np.full((m, p + s), np.nan)
        for name, values in self.change.items():
            percent[:, p + self.parameter_names.index(str(name))] = values
        columns = {
            "group": self.group,
            "level": self.levels.repeat(p + s),
            "term": np.tile(np.array(terms, dtype=object), m),
            "estimate": estimate.ravel(),
            "std_error": np.hstack([self.std_errors, none]).ravel(),
            "change": (estimate - np.append(self.beta, self.parameters)).ravel(),
            "dfbetas": np.hstack([self.dfbetas().to_numpy(), none]).ravel(),
            "percent": percent.ravel(),
        }
        return pd.DataFrame(columns)

    def _parts(self) -> Parts:
        """The deletions with the largest Cook's distances, and those without a fit."""
        what = "cases" if self.group == "case" else f"levels of {self.group}"
        how = "refits" if self.method == "full" else "one step in theta each"
        measures = self.measures().drop(columns="singular")
        shown = measures.sort_values("cooks_distance", ascending=False, kind="stable")
        shown = shown.dropna(subset="cooks_distance").head(_SHOWN).dropna(axis=1, how="all")
        lines: list[str | pd.DataFrame] = [
            f"Influence of {len(self)} {what} ({how}, {'REML' if self.reml else 'ML'})"
        ]
        if len(shown):
            few = f"the {len(shown)} largest Cook's distances" if len(shown) < len(self) else "all"
            lines += [f"{few}:", shown]
        for why in dict.fromkeys(self.reasons.values()):
            at = [str(self.levels[i]) for i, reason in self.reasons.items() if reason == why]
            more = f", ... ({len(at)} in all)" if len(at) > _SHOWN else ""
            lines.append(f"no estimates without {', '.join(at[:_SHOWN])}{more}: {why}")
        return lines

    def _frame(self, values: Array, columns: Any) -> pd.DataFrame:
        return pd.DataFrame(np.array(values), index=self.index, columns=list(columns))
