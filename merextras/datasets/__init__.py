"""Bundled data sets, small enough to travel with the package.

``load_dataset`` reads one of them, ``dataset_names`` lists them. ``cbpp``, ``verb_agg``,
``sleepstudy``, ``dyestuff``, ``penicillin`` and ``pastes`` hold the values and the column names of
the R package lme4, ``hsb`` those of merTools and ``contraception`` those of mlmRev, so that results
can be laid beside published ones. ``students`` is synthetic; `load_dataset` says how it was made.
"""

from __future__ import annotations

import difflib
from importlib import resources

import pandas as pd

from merextras.exceptions import InvalidArgumentError

__all__ = ["dataset_names", "load_dataset"]

#: The numeric columns of each data set. Measurements are floats even where every recorded value
#: happens to be whole (as in R), labels and counts are integers. All other columns are text and get
#: pandas' own string dtype, which differs between pandas 2 and 3.
#: The types convert the text of the file: `students` is exact to the last digit, pandas' default
#: float parser has not always been, and the option that made it so is deprecated in pandas 3.1.
_NUMERIC: dict[str, dict[str, type[float]]] = {
    "cbpp": {"herd": int, "incidence": int, "size": int, "period": int},
    "contraception": {"woman": int, "district": int, "age": float},
    "dyestuff": {"Yield": float},
    "hsb": {
        "schid": int,
        "minority": int,
        "female": int,
        "ses": float,
        "mathach": float,
        "size": int,
        "schtype": int,
        "meanses": float,
    },
    "pastes": {"strength": float},
    "penicillin": {"diameter": float},
    "sleepstudy": {"Reaction": float, "Days": int, "Subject": int},
    "students": {"id": int, "extro": float, "open": float, "agree": float, "social": float},
    "verb_agg": {"Anger": int, "id": int},
}


def dataset_names() -> tuple[str, ...]:
    """Return the names of the bundled data sets, sorted.

    Returns
    -------
    tuple of str
        Each is a valid argument of `load_dataset`.

    See Also
    --------
    load_dataset : Read one of them.

    Examples
    --------
    >>> from merextras.datasets import dataset_names
    >>> dataset_names()
    ('cbpp', 'contraception', 'dyestuff', 'hsb', 'pastes', ..., 'students', 'verb_agg')
    """
    return tuple(sorted(_NUMERIC))


def load_dataset(name: str) -> pd.DataFrame:
    """Read a bundled data set.

    Parameters
    ----------
    name : {'cbpp', 'contraception', 'dyestuff', 'hsb', 'pastes', 'penicillin', 'sleepstudy', \
'students', 'verb_agg'}
        Which one.

    Returns
    -------
    pandas.DataFrame
        A fresh frame at each call, which the caller may change. Grouping letters are text
        columns.

    Raises
    ------
    InvalidArgumentError
        If there is no data set of that name.

    See Also
    --------
    dataset_names : The names.

    Notes
    -----
    **students** (1200 rows, balanced: 50 students in each of 4 classes in each of 6 schools).
    A synthetic twin of ``lmm.data``, the data of Jon Starkweather's tutorial on mixed models at
    the University of North Texas [1]_. No row of it is an observation. In each of the 24
    school x class cells the means and covariances of the four scores equal those of ``lmm.data``
    to rounding: normal draws were centred, whitened, recoloured and shifted, then the rows were
    shuffled (``tools/make_students.py``). A linear mixed model that is linear in the scores, with
    school, class and their combinations as factors, sees only these moments, so its estimates,
    likelihood and tests equal those from ``lmm.data``. Powers and products of scores, residuals
    and predictions for single rows do not.

    - ``id``: 1 to 1200, in row order.
    - ``extro``: extroversion, a scale score without unit, as are the next three.
    - ``open``: openness to new experiences.
    - ``agree``: agreeableness.
    - ``social``: social engagement.
    - ``class``: ``a`` to ``d``; the letters are used again in each school. A keyword of Python,
      so write ``Q('class')`` in a formula.
    - ``school``: ``I`` to ``VI``.

    **sleepstudy** (180 rows: 18 subjects, 10 days each). Average reaction times of the most
    sleep-deprived group, with 3 hours in bed, of Belenky et al. [2]_. Days 0 and 1 were adaptation
    and training and day 2 was the baseline; sleep deprivation started after it. Many published
    analyses use all ten days nevertheless.

    - ``Reaction``: average reaction time on that day, in milliseconds.
    - ``Days``: day of the study, 0 to 9.
    - ``Subject``: the number of the subject, a label.

    **dyestuff** (30 rows: 6 batches, 5 preparations each). Yield of a dyestuff (Naphthalene Black
    12B) made from batches of an intermediate product (H-acid); from Davies and Goldsmith [3]_,
    section 6.4.

    - ``Batch``: batch of the intermediate product, ``A`` to ``F``.
    - ``Yield``: yield of the preparation, in grams of standard colour.

    **penicillin** (144 rows: 24 plates crossed with 6 samples). Tests of penicillin by the
    *B. subtilis* plate method; from Davies and Goldsmith [3]_, section 6.6.

    - ``diameter``: diameter of the zone in which growth is inhibited, in millimetres.
    - ``plate``: assay plate, ``a`` to ``x``.
    - ``sample``: penicillin sample, ``A`` to ``F``.

    **pastes** (60 rows: 10 batches, 3 casks in each, 2 tests of each cask). Strength of a chemical
    paste; from Davies and Goldsmith [3]_, section 6.5.

    - ``strength``: paste strength, in a unit which the source available to us does not state.
    - ``batch``: delivery batch, ``A`` to ``J``.
    - ``cask``: ``a`` to ``c``; the letters are used again in each batch.
    - ``sample``: batch and cask together, ``A:a`` to ``J:c``, so this one is nested explicitly.

    **hsb** (7185 rows: students in 160 schools, 14 to 67 each). A subsample of the 1982 High School
    and Beyond survey, the running example of Raudenbush and Bryk [5]_. Unbalanced, with predictors
    of both levels.

    - ``schid``: number of the school, a label.
    - ``minority``: 1 for a student of a minority, else 0.
    - ``female``: 1 for a girl, else 0.
    - ``ses``: socio-economic status, a standardised composite of the parents' education,
      occupation and income.
    - ``mathach``: score in a test of mathematics achievement.
    - ``size``: students enrolled in the school.
    - ``schtype``: 1 for a Catholic school, 0 for a public one.
    - ``meanses``: mean of ``ses`` in the school, as published (of more students than these).

    **cbpp** (56 rows: 15 herds, up to 4 periods). New cases of contagious bovine pleuropneumonia in
    zebu herds of the Ethiopian highlands, by blood tests every quarter; from Lesnoff et al. [6]_.

    - ``herd``: number of the herd, a label.
    - ``incidence``: new serological cases in the period, of ``size``.
    - ``size``: animals of the herd at the beginning of the period.
    - ``period``: 1 to 4, a label: write ``C(period)``.

    **contraception** (1934 rows: women in 60 districts). Use of contraception in urban and rural
    areas, from the 1989 Bangladesh Fertility Survey; Huq and Cleland [7]_.

    - ``woman``: number of the woman, a label.
    - ``district``: number of the district, a label; 54 has no women.
    - ``use``: ``Y`` for a woman who used contraception at the time of the survey, else ``N``.
    - ``livch``: living children, ``0``, ``1``, ``2`` or ``3+``.
    - ``age``: in years, less the mean.
    - ``urban``: ``Y`` in an urban area, else ``N``.

    **verb_agg** (7584 rows: 316 persons crossed with 24 items). Answers to a questionnaire on
    verbal aggression; from De Boeck and Wilson [8]_.

    - ``Anger``: score of trait anger, of a scale.
    - ``Gender``: ``F`` or ``M``.
    - ``item``: situation, mode and behaviour together, such as ``S1WantCurse``.
    - ``resp``: ``no``, ``perhaps`` or ``yes``.
    - ``id``: number of the person, a label.
    - ``btype``: behaviour, ``curse``, ``scold`` or ``shout``.
    - ``situ``: whose fault the situation is, ``other`` or ``self``.
    - ``mode``: ``want`` or ``do``.
    - ``r2``: ``Y`` for perhaps or yes, else ``N``.

    The values of cbpp, verb_agg, sleepstudy, dyestuff, penicillin and pastes are those distributed
    with lme4 [4]_ (version 1.1-31), which spells some ``VerbAgg``, ``Dyestuff``, ``Penicillin`` and
    ``Pastes``. Those of hsb are in merTools (version 0.5.2), those of contraception in mlmRev under
    these names. They are recorded facts; the descriptions follow the packages' help pages.

    References
    ----------
    .. [1] Starkweather, J. *Linear mixed effects modeling using R*. University of North Texas,
       Research and Statistical Support. The data were at
       ``http://bayes.acs.unt.edu:8083/BayesContent/class/Jon/R_SC/Module9/lmm.data.txt``.
    .. [2] Belenky, G., Wesensten, N. J., Thorne, D. R., Thomas, M. L., Sing, H. C., Redmond,
       D. P., Russo, M. B. and Balkin, T. J. (2003). Patterns of performance degradation and
       restoration during sleep restriction and subsequent recovery: a sleep dose-response study.
       *Journal of Sleep Research* 12, 1-12.
    .. [3] Davies, O. L. and Goldsmith, P. L. (eds) (1972). *Statistical Methods in Research and
       Production*, 4th ed. Oliver and Boyd.
    .. [4] Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. *Journal of Statistical Software* 67(1), 1-48.
    .. [5] Raudenbush, S. W. and Bryk, A. S. (2002). *Hierarchical Linear Models: Applications and
       Data Analysis Methods*, 2nd ed. Sage.
    .. [6] Lesnoff, M., Laval, G., Bonnet, P., Abdicho, S., Workalemahu, A., Kifle, D., Peyraud, A.,
       Lancelot, R. and Thiaucourt, F. (2004). Within-herd spread of contagious bovine
       pleuropneumonia in Ethiopian highlands. *Preventive Veterinary Medicine* 64, 27-40.
    .. [7] Huq, N. M. and Cleland, J. (1990). *Bangladesh Fertility Survey 1989 (Main Report)*.
       National Institute of Population Research and Training, Dhaka.
    .. [8] De Boeck, P. and Wilson, M. (eds) (2004). *Explanatory Item Response Models*. Springer.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> load_dataset("dyestuff").groupby("Batch")["Yield"].mean()
    Batch
    A    1505.0
    B    1528.0
    C    1564.0
    D    1498.0
    E    1600.0
    F    1470.0
    Name: Yield, dtype: float64
    """
    if not isinstance(name, str) or name not in _NUMERIC:
        raise InvalidArgumentError(_unknown_name_message(name))
    with resources.files(__name__).joinpath(f"{name}.csv").open("rb") as file:
        return pd.read_csv(file, converters=_NUMERIC[name])


def _unknown_name_message(name: object) -> str:
    """Say what was given, what is allowed and which name was probably meant."""
    allowed = ", ".join(repr(known) for known in dataset_names())
    message = f"name={name!r} is not a bundled data set; the allowed names are {allowed}."
    # Lower case first: R users type lme4's `Dyestuff`.
    close = difflib.get_close_matches(str(name).strip().lower(), dataset_names(), n=1)
    return f"{message} Did you mean {close[0]!r}?" if close else message
