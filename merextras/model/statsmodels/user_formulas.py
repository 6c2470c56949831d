"""The user's `re_formula` and `vc_formula`, of which a statsmodels fit keeps neither."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.foundation.arguments import one_of
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import FormulaPart
from merextras.model.columns.part import FixedPart
from merextras.model.design.design import INTERCEPT, Term
from merextras.model.statsmodels.vc import parse_label


def check_formulas(model: Any, re_formula: str | None, vc_formula: dict[str, str] | None) -> None:
    """Raise where a formula is given for effects that the fit does not have."""
    if re_formula is not None and not model.k_re:
        raise InvalidArgumentError(
            f"re_formula={re_formula!r}: the fit has no effects of the groups, only the variance "
            f"components {list(model.exog_vc.names)}"
        )
    for name in vc_formula or {}:
        if name not in model.exog_vc.names:
            allowed = one_of(name, [str(known) for known in model.exog_vc.names])
            raise InvalidArgumentError(
                f"vc_formula: {name!r} is no component of the fit; {allowed}"
            )


def with_formula(term: Term, formula: str | None, frame: pd.DataFrame) -> Term:
    """The term with the user's formula for its covariates, checked against the fit's values."""
    if formula is None:
        return term
    part = FormulaPart.from_formula(formula, frame)
    labels = [parse_label(name) for name in part.names]
    if len(part.names) > 1 and all(set(lab.variables) & set(term.columns) for lab in labels):
        # A column per level: the level is the term's own, the rest is its covariate.
        covariate = labels[0].covariate
        if covariate == INTERCEPT:
            return term
        part = FormulaPart.from_formula(f"0 + {covariate}", frame)
    made = part.matrix(frame)
    if made.shape != term.rows.values.shape or not np.allclose(made, term.rows.values, rtol=1e-8):
        raise InvalidArgumentError(
            f"re_formula/vc_formula {formula!r} does not make the columns of the fit's term "
            f"({', '.join(term.names)} | {term.factor})"
        )
    covariates = Covariates(term.names, part)
    return replace(term, covariates=covariates)


def warn_of_bits(
    parts: Iterable[FixedPart | None], frame: pd.DataFrame, *, stacklevel: int
) -> None:
    """Warn of ``^`` in a fit's formula, R's power, which Python reads as exclusive or of bits.

    Between booleans it is meant. The warning points `stacklevel` calls above this function.
    """
    for part in parts:
        for code in () if part is None else part.codes:
            numbers = [c for c in _under_xor(code) if c in frame and frame[c].dtype != bool]
            if numbers:
                warnings.warn(
                    f"statsmodels read '^' in {code!r} as Python's exclusive or of bits; for a "
                    "power write '**', or fit with lmer, where '^' is a power as in R",
                    ApproximationWarning,
                    stacklevel=stacklevel + 1,
                )


def _under_xor(code: str) -> set[str]:
    """Names in the operands of ``^``."""
    nodes = ast.walk(ast.parse(code.strip("` "), mode="eval")) if "^" in code else ()
    powers = [n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.BitXor)]
    return {n.id for power in powers for n in ast.walk(power) if isinstance(n, ast.Name)}
