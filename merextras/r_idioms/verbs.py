"""emmeans' formulas, merTools' arguments, and R's own generics."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count, check_flag
from merextras.inference.means import emmeans as means
from merextras.inference.means.specs import read_specs
from merextras.prediction.ranks.re_impact import re_impact
from merextras.results.base import FrozenMapping
from merextras.results.means.emmeans import Emmeans
from merextras.tables.tidy import tidy

__all__ = [
    "as_data_frame", "emmeans_of", "emtrends_of", "print_", "re_impact_of", "show", "tidy_of",
]  # fmt: skip

#: emmeans' adjustment of means for the variance of the random effects, and that variance's root.
_BIAS = ("bias_adjust", "sigma")


def emmeans_of(
    m: object,
    specs: Any,
    by: Any = None,
    *,
    ddf: str = "kenward-roger",
    adjust: str | None = None,
    **options: Any,
) -> Any:
    """Estimated marginal means, and with a formula such as ``"pairwise ~ a | b"`` their contrasts.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    specs : str or sequence of str
        Names, or emmeans' formula. A word left of the tilde is the set of contrasts:
        ``pairwise``, ``trt.vs.ctrl``, ``eff``, ``consec``.
    by : str or sequence of str, optional
    ddf : str
    adjust : str, optional
        Of the contrasts.
    **options
        As in `merextras.emmeans`; ``bias_adjust=True`` is an error that says what is exact.

    Returns
    -------
    Emmeans, or a mapping of ``emmeans`` and ``contrasts``
    """
    return _with_contrasts(means.emmeans, m, (), specs, by, adjust, {"ddf": ddf, **options})


def emtrends_of(
    m: object,
    specs: Any,
    var: str,
    by: Any = None,
    *,
    ddf: str = "kenward-roger",
    adjust: str | None = None,
    **options: Any,
) -> Any:
    """Slopes at levels of factors, and with a formula such as ``"pairwise ~ a"`` their contrasts.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    specs, by, ddf, adjust
        As in `emmeans`.
    var : str
        A numeric predictor.
    **options
        As in `merextras.emtrends`.

    Returns
    -------
    Emmeans, or a mapping of ``emtrends`` and ``contrasts``
    """
    return _with_contrasts(means.emtrends, m, (var,), specs, by, adjust, {"ddf": ddf, **options})


def _with_contrasts(
    verb: Callable[..., Emmeans],
    m: object,
    var: tuple[str, ...],
    specs: Any,
    by: Any,
    adjust: str | None,
    options: Mapping[str, Any],
) -> Any:
    left, names, bar = read_specs(specs)
    options = _without_bias(options)
    if bar is not None and by is not None:
        raise InvalidArgumentError(f"by={by!r}: the formula of specs has a bar already")
    if adjust is not None and not left:
        raise InvalidArgumentError(
            f"adjust={adjust!r}: for contrasts; give specs='pairwise ~ ...', or call "
            ".contrasts(adjust=...) of the means"
        )
    found = verb(m, names, *var, by if bar is None else bar, **options)
    if not left:
        return found
    return FrozenMapping({verb.__name__: found, "contrasts": found.contrasts(left, adjust=adjust)})


def _without_bias(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without emmeans' ``bias.adjust`` and its ``sigma``, which says of what variance.

    Raises
    ------
    InvalidArgumentError
        An adjustment is asked for.
    """
    ours = {name: value for name, value in options.items() if name not in _BIAS}
    if check_flag(options.get("bias_adjust", False), "bias_adjust"):
        raise InvalidArgumentError(
            "bias_adjust=True: an approximation of second order to the means over the random "
            'effects, which are exact with type="response", re_form="population"'
        )
    return ours


def re_impact_of(
    m: object,
    newdata: Any,
    group: str | None = None,
    term: str | None = None,
    breaks: int | Sequence[float] = 3,
    *,
    n_sims: int = 1000,
    rng: Rng = None,
    **options: Any,
) -> pd.DataFrame:
    """Average predictions over levels of low to high rank: `merextras.re_impact`.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    newdata : DataFrame
    group, term : str, optional
    breaks : int or sequence of float, default 3
    n_sims, rng
        merTools averages simulated predictions; here the average and its standard error are exact,
        and nothing is simulated.
    **options
        As in `merextras.re_impact`.

    Returns
    -------
    DataFrame
    """
    check_count(n_sims, "n_sims")
    del rng
    return re_impact(m, newdata, group, term, breaks, **options)


def as_data_frame(x: Any) -> pd.DataFrame:
    """R's ``as.data.frame``: the result's own ``to_frame()``.

    Parameters
    ----------
    x : VarCorr, Ranef, or another result with ``to_frame()``

    Returns
    -------
    DataFrame
    """
    if isinstance(x, pd.DataFrame):
        return x.copy()
    convert = getattr(x, "to_frame", None)
    if not callable(convert):
        raise InvalidArgumentError(f"x: {type(x).__name__} has no to_frame()")
    made: pd.DataFrame = convert()
    return made


def show(x: object) -> None:
    """Print an object, R's ``show``.

    Parameters
    ----------
    x : object
    """
    builtins.print(x)


def print_(*objects: object, **options: Any) -> None:
    """Print objects: Python's own ``print``, which R's name here must not take away.

    Parameters
    ----------
    *objects : object
    **options
        As of Python's ``print``.
    """
    builtins.print(*objects, **options)


def tidy_of(
    m: object,
    effects: str | Sequence[str] = ("ran_pars", "fixed"),
    *,
    conf_int: bool = False,
    level: float = 0.95,
    conf_method: str = "wald",
    ddf: str | None = None,
    cluster: Any = None,
    exponentiate: bool = False,
    scales: str = "sdcor",
    n_sims: int = 500,
    rng: Rng = None,
) -> pd.DataFrame:
    """A model's parameters as a frame, with broom's ``conf.int`` and ``conf.method``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    effects, level, ddf, cluster, exponentiate, scales, n_sims, rng
        As in `merextras.tidy`.
    conf_int : bool
        Intervals, by `conf_method`: there ``ci`` says both.
    conf_method : {"wald", "profile", "boot"}

    Returns
    -------
    DataFrame
    """
    ci = conf_method if check_flag(conf_int, "conf_int") else None
    return tidy(
        m, effects, ci=ci, level=level, ddf=ddf, cluster=cluster, exponentiate=exponentiate,
        scales=scales, n_sims=n_sims, rng=rng,
    )  # fmt: skip
