"""Estimated marginal means, or trends, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.distributions.multiplicity import said
from merextras.distributions.uncertainty import Uncertainty
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_level, one_of
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, Table, TextResult
from merextras.results.means.contrasts import (
    Contrasts,
    ContrastSet,
    Groups,
    families,
    groups,
    joined,
    shown,
)
from merextras.results.means.family_tests import (
    Family,
    FamilySettings,
    across_families,
    adjustment,
    alternative,
)
from merextras.results.means.letters import with_letters
from merextras.results.means.points import points
from merextras.results.means.transformed import as_ratios, with_ends

__all__ = ["Emmeans"]


@dataclass(frozen=True, eq=False, repr=False)
class Emmeans(FrozenArrays, TextResult):
    """What `emmeans`, `emtrends` and `ls_means` return: linear functions of the fixed effects.

    Attributes
    ----------
    labels : DataFrame
        The levels that each row stands for: the factors of `specs`, then those of `by`.
    by : tuple of str
        The factors that contrasts stay within.
    rows : (r, all columns) array
        The functions, over all columns of X.
    offset : (r,) array
        Known parts of the means.
    uncertainty : Uncertainty
    level : float
    what : str
        What the estimates are, for the heading.
    notes : tuple of str
    comparison : str
        The set of contrasts left of a formula's tilde, ``""`` for none.
    nesting : mapping name -> tuple of str
        By factor those that it is nested in.
    link : str
        What the means are transformed back from; ``""`` for means as they are.
    """

    labels: pd.DataFrame
    by: tuple[str, ...]
    rows: Array
    offset: Array
    uncertainty: Uncertainty
    level: float
    what: str
    notes: tuple[str, ...] = ()
    comparison: str = ""
    nesting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    link: str = ""

    _arrays = ("rows", "offset")

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors of `specs`."""
        return tuple(name for name in self.labels.columns if name not in self.by)

    def to_frame(self, *, level: float | None = None) -> pd.DataFrame:
        """``<factors> estimate std_error df conf_low conf_high``, a row per mean.

        Parameters
        ----------
        level : float, optional
            Another one than that of the call. Each interval stands for itself; those of
            `contrasts` are adjusted.

        Returns
        -------
        DataFrame
            NaN where the mean is not estimable: it depends on coefficients that the data do not
            determine, such as that of an empty cell.
        """
        level = self.level if level is None else check_level(level)
        table = self.uncertainty.table(self.rows, self.offset)
        return Table.of(pd.concat([self.labels, with_ends(table, level, self.link)], axis=1))

    def as_frame(
        self, x: str | None = None, trace: str | None = None, panel: str | None = None
    ) -> pd.DataFrame:
        """The means as points of an interaction plot, emmeans' ``emmip(..., plotit = FALSE)``.

        Parameters
        ----------
        x, trace, panel : str, optional
            The factors along the x axis, of lines and of panels; by default the first ones in this
            order that are not named. Factors that are left over are joined in ``panel``.

        Returns
        -------
        DataFrame
            ``x trace panel estimate std_error df conf_low conf_high``; ``trace`` and ``panel`` are
            ``""`` where there is no such factor.

        Raises
        ------
        InvalidArgumentError
            A name that is no factor, or twice the same.
        """
        return Table.of(points(self.labels, self.to_frame(), x, trace, panel))

    def contrasts(
        self,
        method: Any = None,
        *,
        interaction: Any = None,
        adjust: str | None = None,
        cross_adjust: str = "none",
        by: str | Sequence[str] | None = None,
        ref: object = None,
        null: float = 0.0,
        delta: float = 0.0,
        side: str = "two-sided",
        level: float | None = None,
    ) -> Contrasts:
        """Contrasts among the means, emmeans' ``contrast`` and ``pairs``.

        Parameters
        ----------
        method : str, mapping, DataFrame or array, optional
            ``"pairwise"`` (the default, unless the formula of the means names a set), all
            differences, or ``"revpairwise"``, the other way round; ``"control"`` (also
            ``"trt.vs.ctrl"``), each less the control, or ``"trt.vs.ctrlk"``, less the last;
            ``"consec"``, each less the one before; ``"eff"`` and ``"del.eff"``, each less the mean
            of all, or of the others; ``"mean_chg"``, the mean of those after a place less the mean
            of those before; ``"helmert"``, each less the mean of those before; ``"poly"``,
            orthogonal polynomials of equal steps up to the sixth degree in whole numbers;
            ``"identity"``, the means themselves. Or weights of one's own, in the order of the rows
            within a level of `by`: a mapping of names to them, a frame with a row per contrast, or
            an array.
        interaction : True, str or sequence, optional
            Products of contrasts of each factor: one method for all factors (True takes `method`),
            or one for each in the order of `factors`.
        adjust : str, optional
            ``"tukey"``, ``"dunnett"``, ``"mvt"``, ``"scheffe"``, ``"sidak"``, ``"bonferroni"``,
            ``"holm"``, ``"fdr"`` or ``"none"``, for several tests in a family, the contrasts within
            a level of `by`. ``"tukey"`` is for pairwise differences; ``"dunnett"`` and ``"mvt"``
            are one, the multivariate t of the contrasts' own correlations. By default Tukey's for
            pairs, Dunnett's for a control, ``"mvt"`` for ``consec``, ``mean_chg`` and ``helmert``,
            ``"fdr"`` for effects and ``"none"`` else; Sidak's in place of the first three for
            one-sided tests and equivalence.
        cross_adjust : {"none", "sidak", "bonferroni", "holm", "fdr"}
            P-values adjusted once more, for the same contrast in all levels of `by`.
        by : str or sequence of str, optional
            Contrasts stay within each level of these, instead of those of the means; ``()`` for
            contrasts among all.
        ref : label or position, optional
            The control; the first by default.
        null : float, default 0
            The hypothesised value.
        delta : float, default 0
            A difference from `null` that does not matter: with it the tests are of equivalence (two
            one-sided tests), or one-sided, of not being worse by as much.
        side : {"two-sided", "equivalence", "greater", "noninferiority", "less", "nonsuperiority"}
            What is to be shown. Intervals of one-sided tests have one bound.
        level : float, optional
            Of the simultaneous intervals.

        Returns
        -------
        Contrasts
            With the columns ``contrast <by> estimate std_error df statistic p_value conf_low
            conf_high``.

        Raises
        ------
        InvalidArgumentError
            An unknown method, adjustment, factor, side or control; Tukey's adjustment of what are
            not all pairs, or of one-sided tests; weights of another length; interaction contrasts
            where cells are missing; `cross_adjust` of families of different sizes.

        Notes
        -----
        The critical values and p-values take each contrast's own degrees of freedom. Dunnett's are
        of the multivariate t distribution; emmeans' default for them, ``"dunnettx"``, is an
        approximation whose p-values differ by some 3 %, and its ``"mvt"`` is simulated. Tukey's is
        exact for independent means of equal variance and conservative else (Hayter 1984 in the
        one-way layout). For Holm's and the false discovery rate intervals are Bonferroni's, as in
        emmeans. A contrast that can't be estimated still counts in its family, as there, but not in
        Dunnett's, ``"mvt"`` and Scheffe's, having no correlation with others. With one, emmeans
        rounds the degrees of freedom of the others for Tukey's adjustment; here they are as shown.

        Examples
        --------
        >>> import merextras as mx
        >>> students = mx.load_dataset("students")
        >>> m = mx.lmer("extro ~ Q('class') + (1 | school)", students)
        >>> means = mx.emmeans(m, "class")
        >>> means.contrasts("control", adjust="holm").to_frame().iloc[:, :5].round(3)
          contrast  estimate  std_error      df  statistic
        0    b - a     2.049      0.136  1191.0     15.034
        1    c - a     3.699      0.136  1191.0     27.143
        2    d - a     5.656      0.136  1191.0     41.511
        """
        method = (self.comparison or "pairwise") if method is None else method
        what, within = alternative(side, null, delta), self._by(by)
        where, sets = families(
            self.labels, within, method, interaction, ref, nested=bool(self.nesting)
        )
        asked = method if interaction in (None, False) else interaction
        how = adjustment(adjust, sets[0].kind, asked, what)
        level = self.level if level is None else check_level(level)
        asked_for = FamilySettings(how, cross_adjust, what, level)
        return as_ratios(self._tested(within, where, sets, asked_for), self.link)

    def test(
        self,
        null: float = 0.0,
        *,
        delta: float = 0.0,
        side: str = "two-sided",
        adjust: str = "none",
        cross_adjust: str = "none",
        by: str | Sequence[str] | None = None,
        level: float | None = None,
    ) -> Contrasts:
        """Tests of the means themselves, emmeans' ``test``.

        Parameters
        ----------
        null, delta, side, adjust, cross_adjust, by, level
            As in `contrasts`.

        Returns
        -------
        Contrasts
            ``<factors> estimate std_error df statistic p_value conf_low conf_high``.

        Raises
        ------
        InvalidArgumentError
            As `contrasts`.

        Examples
        --------
        >>> import merextras as mx
        >>> students = mx.load_dataset("students")
        >>> m = mx.lmer("extro ~ open * Q('class') + (1 | school)", students)
        >>> slopes = mx.emtrends(m, "class", "open")
        >>> test = slopes.test(delta=0.05, side="equivalence")
        >>> test.to_frame()[["class", "estimate", "statistic", "p_value"]].round(3)
          class  estimate  statistic  p_value
        0     a     0.021     -1.832    0.034
        1     b    -0.002     -2.849    0.002
        2     c    -0.002     -2.865    0.002
        3     d     0.027     -1.320    0.094
        """
        what, within = alternative(side, null, delta), self._by(by)
        how = adjustment(adjust, "identity", "identity", what)
        names = [name for name in self.labels.columns if name not in within]
        where = groups(self.labels, within)
        sets = [
            ContrastSet("identity", self.labels[names].iloc[at], np.eye(len(at))) for _, at in where
        ]
        level = self.level if level is None else check_level(level)
        found = self._tested(within, where, sets, FamilySettings(how, cross_adjust, what, level))
        return replace(found, what=f"Tests: {self.what[:1].lower()}{self.what[1:]}")

    def cld(
        self,
        *,
        alpha: float = 0.05,
        adjust: str | None = None,
        by: str | Sequence[str] | None = None,
        delta: float = 0.0,
    ) -> pd.DataFrame:
        """Compact letters: means that share one are not told apart, emmeans' ``cld``.

        Not to be told apart is not to be the same; `delta` asks for that instead.

        Parameters
        ----------
        alpha : float, default 0.05
            Level of the pairwise tests.
        adjust : str, optional
            Of their p-values, as in `contrasts`.
        by : str or sequence of str, optional
            Means are compared within each level of these.
        delta : float, default 0
            A difference that does not matter: means that share a letter are then equivalent.

        Returns
        -------
        DataFrame
            ``to_frame()`` with a column ``letters``, in each family from the smallest to the
            largest estimate; ``""`` where a mean is not estimable. ``attrs["notes"]`` says how.

        Raises
        ------
        InvalidArgumentError
            As `contrasts`; more sets than letters.

        Notes
        -----
        The letters are those of Piepho (2004), as few sets as show every pair rightly.

        Examples
        --------
        >>> import merextras as mx
        >>> students = mx.load_dataset("students")
        >>> m = mx.lmer("extro ~ open * Q('class') + (1 | school)", students)
        >>> mx.emtrends(m, "class", "open").cld()[["class", "estimate", "letters"]].round(3)
          class  estimate letters
        0     b    -0.002       a
        1     c    -0.002       a
        2     a     0.021       a
        3     d     0.027       a
        """
        alpha = check_level(alpha)
        pairs = self.contrasts("pairwise", adjust=adjust, by=by, delta=delta)
        compared = [at for _, at in groups(self.labels, self._by(by))]
        good = pairs.frame["p_value"].to_numpy() < alpha  # False where it is missing
        out = with_letters(self.to_frame(), compared, ~good if delta > 0.0 else good)
        said_so = "are equivalent" if delta > 0.0 else "are not told apart, which is not the same"
        out.attrs["notes"] = (*pairs.notes, f"Means that share a letter {said_so}.")
        return Table.of(out)

    def _by(self, given: str | Sequence[str] | None) -> list[str]:
        given = self.by if given is None else given
        wanted = [given] if isinstance(given, str) else list(given)
        for name in wanted:
            if name not in self.labels.columns:
                known = [str(c) for c in self.labels.columns]
                raise InvalidArgumentError(f"by: {name!r}: {one_of(name, known)}")
        outer = [o for name in wanted for o in self.nesting.get(name, ())]
        return list(dict.fromkeys([*wanted, *(o for o in outer if o in self.labels.columns)]))

    def _tested(
        self, within: list[str], where: Groups, sets: Sequence[ContrastSet], asked: FamilySettings
    ) -> Contrasts:
        """The tests of all families, with what is said of them."""
        tables = []
        for (_, at), s in zip(where, sets, strict=True):
            family = Family(s.weights @ self.rows[at], s.weights @ self.offset[at], len(at))
            tables.append(family.tested(self.uncertainty, asked))
        tables = [
            pd.concat([s.labels.reset_index(drop=True), table], axis=1)
            for s, table in zip(sets, across_families(tables, asked.cross), strict=True)
        ]
        sizes = sorted({len(table) for table in tables})
        how, notes = asked.adjust[0], [*self.notes, *asked.what.said()]
        notes.append(said(how, sizes))
        if asked.cross != "none" and len(tables) > 1:
            notes.append(f"P-values adjusted across {len(tables)} families, too: {asked.cross}.")
        frame = joined(tables, within, [levels for levels, _ in where])
        return Contrasts(frame, tuple(within), how, asked.level, tuple(notes))

    def _parts(self) -> Parts:
        """The table and its notes, and the contrasts of a formula."""
        notes = [*self.notes, f"Confidence level {self.level:g}, each interval for itself."]
        parts: Parts = [f"{self.what}, {self.uncertainty.title}", shown(self.to_frame()), *notes]
        return [*parts, *self.contrasts()._parts()] if self.comparison else parts
