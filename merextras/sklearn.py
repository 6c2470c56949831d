"""Mixed models in scikit-learn's pipelines and grids: `MixedModelRegressor`.

Needs scikit-learn (``pip install "merextras[sklearn]"``); nothing else in the package imports it,
and ``import merextras`` does not import this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
    from sklearn.utils.validation import column_or_1d as one_column
except ImportError as err:
    raise ImportError(
        'merextras.sklearn needs scikit-learn 1.6 or newer: pip install "merextras[sklearn]"'
    ) from err

from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.mermod import MerMod

__all__ = ["MixedModelRegressor"]


class MixedModelRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A linear mixed model as a scikit-learn regressor.

    Parameters
    ----------
    formula : str, optional
        lme4's, without a response or with any: ``"~ Days + (Days | Subject)"``. Its variables are
        the columns of X. By default all columns that are no groups, and a random intercept for each
        of `group_columns`.
    group_columns : str or sequence of str, optional
        The grouping columns of the default formula, crossed; not with `formula`. Without groups
        the model is linear regression.
    reml : bool, default True
    re_form : None or "NA"
        What predictions contain: the random effects of known groups, or fixed effects alone.
    new_levels : {"zero", "error"}, default "zero"
        What a level is that was not in the fit: a group with effects of zero, or an error.

    Attributes
    ----------
    model_ : MerMod or None
        The fitted model, with all its verbs; None without groups.
    coef_ : (p,) array
        Fixed effects without the intercept, which is in `intercept_`.
    intercept_ : float
    n_features_in_ : int
    feature_names_in_ : array of str
        If X was a DataFrame.

    Raises
    ------
    InvalidArgumentError
        By `fit`: `formula` and `group_columns` together, unknown columns, what `lmer` refuses.

    Notes
    -----
    Columns of an array are called ``x0``, ``x1``, ... Rows with missing values are an error, as
    everywhere in scikit-learn. Names that the formula uses besides the columns are numpy's ``np``.

    For cross-validation by groups scikit-learn's ``GroupKFold`` refits for every fold;
    `cross_validate` gives the same from cross-products.

    Examples
    --------
    >>> import merextras as mx
    >>> from merextras.sklearn import MixedModelRegressor
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    >>> regressor = MixedModelRegressor("~ Days + (Days | Subject)").fit(X, y)
    >>> regressor.coef_.round(2), round(regressor.score(X, y), 3)
    (array([10.47]), 0.826)
    """

    def __init__(
        self,
        formula: str | None = None,
        group_columns: str | Sequence[str] | None = None,
        *,
        reml: bool = True,
        re_form: str | None = None,
        new_levels: str = "zero",
    ) -> None:
        self.formula = formula
        self.group_columns = group_columns
        self.reml = reml
        self.re_form = re_form
        self.new_levels = new_levels

    def fit(self, X: Any, y: Any) -> MixedModelRegressor:
        """Fit the model.

        Parameters
        ----------
        X : (n, k) DataFrame or array
        y : (n,) array

        Returns
        -------
        MixedModelRegressor
            Itself.
        """
        check_choice(self.new_levels, ("zero", "error"), "new_levels")
        if self.re_form not in (None, "NA"):
            raise InvalidArgumentError(f"re_form={self.re_form!r}: None or 'NA'")
        if self.formula is not None and self.group_columns is not None:
            raise InvalidArgumentError(
                "group_columns: they are for the default formula; the formula that was given says "
                "which groups there are"
            )
        frame, values = self._frame(X, y, reset=True)
        response = "y"
        while response in frame.columns:
            response += "_"
        rhs = self._right_hand_side(frame)
        if rhs is None:
            return self._least_squares(frame.to_numpy(float), values)
        data = frame.assign(**{response: values})
        model = lmer(f"{response} ~ {rhs}", data, reml=self.reml, missing="raise")
        self.model_: MerMod | None = model
        fixed = model.fixef()
        constant = model.design.constant
        self.intercept_ = 0.0 if constant is None else float(fixed[constant])
        self.coef_ = fixed[fixed.index != constant].to_numpy(float)
        return self

    def predict(self, X: Any) -> Array:
        """Predict the response of rows.

        Parameters
        ----------
        X : (m, k) DataFrame or array
            With the columns of the fit.

        Returns
        -------
        (m,) array
        """
        check_is_fitted(self)
        frame, _ = self._frame(X, None, reset=False)
        if self.model_ is None:
            return np.asarray(frame.to_numpy(float) @ self.coef_ + self.intercept_)
        unknown: Any = False if self.new_levels == "error" else "zero"
        found = self.model_.predict(frame, re_form=self.re_form, allow_new_levels=unknown)
        return np.asarray(found, dtype=float)

    def _least_squares(self, x: Array, y: Array) -> MixedModelRegressor:
        centre, level = x.mean(axis=0), float(y.mean())
        self.model_ = None
        self.coef_ = np.linalg.lstsq(x - centre, y - level, rcond=None)[0]
        self.intercept_ = float(level - centre @ self.coef_)
        return self

    def _frame(self, X: Any, y: Any, *, reset: bool) -> tuple[pd.DataFrame, Array]:
        """X with names, and y; numbers and finite unless X is a frame with groups in it."""
        plain = self.formula is None and self.group_columns is None
        if isinstance(X, pd.DataFrame) and not plain:
            validate_data(self, X, reset=reset, skip_check_array=True)
            if X.isna().to_numpy().any():
                raise InvalidArgumentError("X: there are missing values")
            frame, values = X, y
            if reset:
                values = one_column(y, dtype=float, warn=True)
                check_consistent_length(X, values)
                if not np.all(np.isfinite(values)):
                    raise InvalidArgumentError("y: there are missing or infinite values")
            return frame, values
        if not reset:
            array, values = validate_data(self, X, reset=reset, dtype=float), None
        else:
            array, values = validate_data(self, X, y, reset=reset, dtype=float, y_numeric=True)
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(array.shape[1])])
        return pd.DataFrame(array, columns=list(names)), values

    def _right_hand_side(self, frame: pd.DataFrame) -> str | None:
        """The formula right of the ``~``; None without groups."""
        if self.formula is not None:
            if not isinstance(self.formula, str):
                raise InvalidArgumentError(f"formula={self.formula!r}: expected a string")
            return self.formula.rpartition("~")[2]
        if self.group_columns is None:
            return None
        given = self.group_columns
        groups = [given] if isinstance(given, str) else [str(name) for name in given]
        missing = [name for name in groups if name not in frame.columns]
        if missing or not groups:
            raise InvalidArgumentError(
                f"group_columns={given!r}: expected columns of X; it has {list(frame.columns)}"
            )
        fixed = [f"`{name}`" for name in frame.columns if name not in groups] or ["1"]
        return " + ".join([*fixed, *(f"(1 | `{name}`)" for name in groups)])
