"""The model on standardised inputs, arm's ``standardize``."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, one_of
from merextras.model.design.design import Design
from merextras.model.fit.refit import refit_formula
from merextras.model.formula.rewrite import rewritten
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.refit import refit_formula as refit_generalised
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted

_BINARY = ("center", "0/1", "-0.5,0.5", "full")


def standardize(
    m: object,
    *,
    unchanged: str | Sequence[str] = (),
    standardize_y: bool = False,
    binary_inputs: str = "center",
) -> FittedModel:
    """Fit the model again with its inputs centred and divided by two standard deviations.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    unchanged : str or sequence of str
        Variables to leave as they are.
    standardize_y : bool, default False
        Rescale the response too, to ``z.`` and its name.
    binary_inputs : {"center", "0/1", "-0.5,0.5", "full"}
        What is done to an input with two values, numbers, booleans or categories (the second one
        in order is the larger): its mean subtracted; put to 0 and 1; put to -0.5 and 0.5; or
        rescaled as the others are.

    Returns
    -------
    MerMod
        The refitted model, of the class of `m`. An input ``x`` is named ``z.x``, a binary one
        ``c.x`` (with ``"full"`` also ``z.x``); categories of more than two levels, constants and
        offsets are left as they are.

    Raises
    ------
    InvalidArgumentError
        A name in `unchanged` is not a variable of the model; `binary_inputs` is not one of those
        above; an input stands in a function such as ``np.log(x)``, which can't take negative
        values: make that a column, or name ``x`` in `unchanged`.
    UnsupportedModelError
        `m` is not the fit of a mixed model; `standardize_y` with an offset, or of a generalised
        model, whose response is left as it is.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    Notes
    -----
    ``z.x = (x - mean(x)) / (2 sd(x))``, the standard deviation with divisor n - 1 (Gelman [1]_): a
    coefficient is then the difference between a low and a high value of its input, and comparable
    with that of a binary one. Inputs are rescaled before interactions, powers (``I(x**2)``) and
    random slopes are made of them, and those are named accordingly: ``z.x:c.isa``. To predict, new
    data need the rescaled columns.

    **R counterpart**: ``arm::standardize``. That rescales the x of ``log(x)``, which gives NaN;
    only centres a binary response; and for ``"-0.5,0.5"`` subtracts 0.5 from an input that is not
    coded 0 and 1. **Cost**: one fit.

    References
    ----------
    .. [1] Gelman, A. (2008). Scaling regression inputs by dividing by two standard deviations.
       *Statistics in Medicine* 27, 2865-2873.

    Examples
    --------
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> from merextras.inference.arm.standardize import standardize
    >>> students = mx.load_dataset("students")
    >>> m = mx.MerMod(smf.mixedlm("extro ~ open + agree", students, groups="school").fit())
    >>> standardize(m).fixef().round(3)
    Intercept    60.267
    z.open        0.113
    z.agree       0.281
    dtype: float64
    """
    model = as_fitted(m, generalised=True)
    design = model.design
    how = check_choice(binary_inputs, _BINARY, "binary_inputs")
    inputs = _Inputs(design, _names(unchanged, design.frame), how)
    response = None
    if standardize_y:
        _check_response(model)
        response = inputs.add("z.", design.response, _rescaled(design.y, design.frequencies))
    formula = rewritten(design.formula, design.frame.columns, inputs.code, response=response)
    with warnings.catch_warnings():
        if design.fixed.dropped:
            # It was said when the model was fitted, of the same columns.
            warnings.simplefilter("ignore", RankDeficientWarning)
        return _refitted(model, formula, design.frame.assign(**inputs.made))


def _refitted(model: FittedModel, formula: str, frame: pd.DataFrame) -> FittedModel:
    """The model with another formula on the same rows."""
    again = refit_generalised if isinstance(model, FittedGlmm) else refit_formula
    return again(model, formula, frame)  # type: ignore[type-var]


def _check_response(model: FittedModel) -> None:
    """Refuse to rescale a response that is on a scale of its own.

    Raises
    ------
    UnsupportedModelError
    """
    if isinstance(model, FittedGlmm) and model.choice.text != "gaussian(identity)":
        raise UnsupportedModelError(
            f"standardize_y: the response of family={model.choice.name!r} is on a scale of its own "
            "(successes, counts, positive numbers), which its link is made for; leave it out"
        )
    if not isinstance(model, FittedGlmm) and model.has_known_sigma:
        raise UnsupportedModelError(
            "standardize_y: the model has a known residual standard deviation (sigma=), which is "
            "on the scale of the response; rescale both and fit again"
        )
    if model.design.offset is not None:
        raise UnsupportedModelError(
            "standardize_y: the model has an offset, which is on the scale of the response; "
            "subtract it from the response first"
        )


def _names(unchanged: str | Sequence[str], frame: pd.DataFrame) -> set[str]:
    names = [unchanged] if isinstance(unchanged, str) else list(unchanged)
    known = [str(c) for c in frame.columns]
    for name in names:
        if name not in known:
            raise InvalidArgumentError(f"unchanged={name!r}: {one_of(name, known)}")
    return set(names)


class _Inputs(ast.NodeTransformer):
    """The rescaled inputs, made as the formula's code names them.

    Attributes
    ----------
    made : dict name -> (n,) array
    """

    def __init__(self, design: Design, unchanged: set[str], how: str) -> None:
        self.made: dict[str, Array] = {}
        self._design = design
        self._unchanged = unchanged
        self._how = how
        self._function = ""

    def code(self, code: str) -> str:
        """Patsy's code of a factor, with its variables renamed."""
        return ast.unparse(self.visit(ast.parse(code, mode="eval")))

    def add(self, prefix: str, column: str, values: Array) -> str:
        """Take a rescaled column, and return the code that names it."""
        self.made[prefix + column] = values
        return f"Q({prefix + column!r})"

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._renamed(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = ast.unparse(node.func)
        if called == "Q" and isinstance(node.args[0], ast.Constant):
            return self._renamed(str(node.args[0].value), node)
        if called == "C":
            made = self.visit(node.args[0])
            return made if self._is_binary(node.args[0]) and made is not node.args[0] else node
        outer, self._function = self._function, self._function or ("" if called == "I" else called)
        node.args = [self.visit(arg) for arg in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        self._function = outer
        return node

    def _is_binary(self, node: ast.AST) -> bool:
        name = node.id if isinstance(node, ast.Name) else None
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Q":
            name = str(ast.literal_eval(node.args[0]))
        return name in self._design.frame and self._design.frame[name].nunique() == 2

    def _renamed(self, column: str, node: ast.AST) -> ast.AST:
        if column not in self._design.frame or column in self._unchanged:
            return node
        made = _input(self._design.frame[column], self._design.frequencies, self._how)
        if made is None:
            return node
        if self._function:
            raise InvalidArgumentError(
                f"the input {column!r} stands in {self._function}(...), which is not made for "
                f"standardised values; make that a column of the data, or unchanged=[{column!r}]"
            )
        return ast.parse(self.add(made[0], column, made[1]), mode="eval").body


def _input(column: pd.Series, frequencies: Array | None, how: str) -> tuple[str, Array] | None:
    """Prefix and values of a rescaled input; None for one that is left as it is."""
    values = column.to_numpy()
    n_values = column.nunique()
    if n_values == 2:
        # Numbers keep their values; booleans and categories become 0 and 1.
        levels = pd.Categorical(column).remove_unused_categories()
        is_number = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
        number = np.asarray(values if is_number else levels.codes, dtype=float)
        if how == "full":
            return "z.", _rescaled(number, frequencies)
        if how == "center":
            return "c.", number - np.average(number, weights=frequencies)
        unit = (number - number.min()) / np.ptp(number)
        return "c.", unit - (0.5 if how == "-0.5,0.5" else 0.0)
    if n_values < 2 or not pd.api.types.is_numeric_dtype(column):
        return None
    return "z.", _rescaled(np.asarray(values, dtype=float), frequencies)


def _rescaled(values: Array, frequencies: Array | None) -> Array:
    """(x - mean) / (2 sd)."""
    count = np.ones(len(values)) if frequencies is None else frequencies
    centred = values - np.average(values, weights=count)
    sd = np.sqrt(np.sum(count * centred**2) / (np.sum(count) - 1.0))
    return np.asarray(centred / (2.0 * sd))
