"""The result of a test whose null distribution was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import TextResult

__all__ = ["ExactTest"]

# The share of zeros in a null distribution that is mentioned.
_MOSTLY_ZERO = 0.9


@dataclass(frozen=True, repr=False, eq=False)
class ExactTest(FrozenArrays, TextResult):
    """A likelihood ratio test of a variance with its simulated finite-sample null distribution.

    What ``exact_lrt`` and ``exact_rlrt`` return; the ``htest`` object of RLRsim's ``exactLRT`` and
    ``exactRLRT``. It prints as that does, except that a p-value that no simulated value reached is
    reported as below 1 / n_sims, where R prints ``< 2.2e-16``. It holds no reference to the model
    and pickles.

    Parameters
    ----------
    name : str
        ``"LRT"`` or ``"RLRT"``.
    statistic : float
        The observed value.
    sample : (n_sims,) array
        The simulated values under the null hypothesis; kept as a read-only copy.
    null_hypothesis : str
        What is tested.
    note : str, optional
        What to be aware of; printed last.

    Raises
    ------
    InvalidArgumentError
        If the sample is empty or not one-dimensional, or if a value in it or the statistic is
        negative or not finite.

    Examples
    --------
    >>> from merextras.results.tests.exact_test import ExactTest
    >>> test = ExactTest("RLRT", 2.5, [0.0, 0.0, 0.4, 3.1], "Var(Intercept | school) = 0")
    >>> test
    simulated finite sample distribution of RLRT. (p-value based on 4 simulated values)
    <BLANKLINE>
    null hypothesis: Var(Intercept | school) = 0
    RLRT = 2.5, p-value = 0.25
    """

    name: str
    statistic: float
    sample: Array
    null_hypothesis: str
    note: str = ""

    _arrays = ("sample",)

    def __post_init__(self) -> None:
        super().__post_init__()
        sample = self.sample
        if sample.ndim != 1 or sample.size == 0:
            raise InvalidArgumentError(
                f"sample: needs a one-dimensional array with values, got shape {sample.shape}"
            )
        values = np.append(sample, self.statistic)
        if not np.all(np.isfinite(values) & (values >= 0.0)):
            raise InvalidArgumentError(
                "statistic and sample: likelihood ratio statistics are finite and at least 0"
            )
        object.__setattr__(self, "statistic", float(self.statistic))

    @property
    def n_sims(self) -> int:
        """Number of simulated values."""
        return len(self.sample)

    @property
    def n_exceeding(self) -> int:
        """Number of simulated values that are at least the observed one."""
        return int(np.count_nonzero(self.sample >= self.statistic))

    @property
    def p_value(self) -> float:
        """Share of the simulated values that are at least the observed one.

        0.0 if there is none; `p_text` then says what is known. 1.0 for a statistic of zero.
        """
        return self.n_exceeding / self.n_sims

    @property
    def p_value_se(self) -> float:
        """Monte Carlo standard error of the p-value, ``sqrt(p (1 - p) / n_sims)``.

        NaN if the p-value is 0: the simulation only says that it is below about 1 / n_sims.
        """
        p = self.p_value
        return float(np.sqrt(p * (1.0 - p) / self.n_sims)) if p > 0.0 else float("nan")

    @property
    def p_text(self) -> str:
        """The p-value as text: ``"0.012"``, or ``"< 1e-04"`` if nothing reached the statistic."""
        if self.n_exceeding == 0:
            return f"< {_short(1.0 / self.n_sims)}"
        return _short(self.p_value)

    @property
    def p_zero(self) -> float:
        """Share of the simulated values that are zero: estimates at the boundary."""
        return float(np.mean(self.sample == 0.0))

    @property
    def description(self) -> str:
        """The heading, in the words of RLRsim."""
        return (
            f"simulated finite sample distribution of {self.name}. "
            f"(p-value based on {self.n_sims} simulated values)"
        )

    def quantile(self, probs: float | Sequence[float] | Array) -> Array:
        """Compute quantiles of the null distribution: the critical value at 1 - alpha.

        Parameters
        ----------
        probs : float or array of floats
            Between 0 and 1.

        Returns
        -------
        array
            Of the shape of `probs`; interpolated between order statistics, R's type 7.

        Raises
        ------
        InvalidArgumentError
            For a probability outside 0 to 1.
        """
        at = np.asarray(probs, dtype=float)
        if not np.all((at >= 0.0) & (at <= 1.0)):
            raise InvalidArgumentError(f"probs={probs!r}: probabilities are between 0 and 1")
        return np.asarray(np.quantile(self.sample, at))

    def to_frame(self) -> pd.DataFrame:
        """Return a fresh one-row frame.

        Returns
        -------
        DataFrame
            Columns ``test null_hypothesis statistic p_value p_text n_exceeding n_sims``.
        """
        row = {
            "test": self.name,
            "null_hypothesis": self.null_hypothesis,
            "statistic": self.statistic,
            "p_value": self.p_value,
            "p_text": self.p_text,
            "n_exceeding": self.n_exceeding,
            "n_sims": self.n_sims,
        }
        return pd.DataFrame([row])

    def to_text(self) -> str:
        """Write what R's ``htest`` prints: heading, hypothesis, statistic and p-value."""
        relation = "" if self.p_text.startswith("<") else "= "
        lines = [
            self.description,
            "",
            f"null hypothesis: {self.null_hypothesis}",
            f"{self.name} = {self.statistic:.5g}, p-value {relation}{self.p_text}",
        ]
        notes = [self.note] if self.note else []
        if self.p_zero >= _MOSTLY_ZERO:
            notes.append(
                f"{100.0 * self.p_zero:.3g} % of the simulated values are zero: any positive "
                f"statistic has a p-value of at most {_short(1.0 - self.p_zero)}"
            )
        if notes:
            lines += ["", f"note: {'; '.join(notes)}"]
        return "\n".join(lines)


def _short(p: float) -> str:
    """Write a p-value to four significant digits, small ones as R does: ``1e-04``."""
    if p >= 1e-3:
        return f"{p:.4g}"
    digits, _, exponent = f"{p:.3e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{exponent}"
