"""Translations of R names: a method, function or idiom of ours, with both spellings of keywords."""

from __future__ import annotations

import functools
import importlib
import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from merextras.mermod import MerMod
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model_list import ModelList
from merextras.results.estimates.influence import Influence
from merextras.results.profiles.profile import Profile
from merextras.results.replicates.bootstrap import Bootstrap


@dataclass(frozen=True)
class Spelling:
    """What an R name stands for.

    Attributes
    ----------
    ours : str
        As it is written in Python: ``m.var_corr()``, ``re_sim(m)``.
    find : callable
        Returns the function. Its module is imported no earlier than that: the plots' are slow, and
        an imported ``sim`` would hide the one of R's keywords.
    keywords : mapping R keyword -> ours
        With R's dots already underscores; those that are the same are left out.
    also : mapping R keyword -> ours
        A second name of the same, of an older version or of the tutorial.
    """

    ours: str
    find: Callable[[], Callable[..., Any]]
    keywords: Mapping[str, str]
    also: Mapping[str, str] = field(default_factory=dict)


def method(name: str, **keywords: str) -> Spelling:
    """Take a method of `MerMod`."""
    return Spelling(f"m.{name}()", functools.partial(_unbound, name), keywords)


def _unbound(name: str) -> Callable[..., Any]:
    target = getattr(MerMod, name)

    @functools.wraps(target)
    def function(m: object, *args: Any, **kwargs: Any) -> Any:
        # R's confint(profile(m)), cooks.distance(influence(m)), ranef(lmerModList(...))
        if isinstance(m, (Bootstrap, Influence, ModelList, Profile)) and hasattr(m, name):
            return getattr(m, name)(*args, **kwargs)
        model = as_fitted(m, generalised=True)
        if model.is_generalised:  # which has methods of its own, and refusals
            return getattr(model, name)(*args, **kwargs)
        return target(model, *args, **kwargs)

    own = inspect.signature(target)
    first, *others = own.parameters.values()
    signature = own.replace(parameters=[first.replace(name="m", annotation="object"), *others])
    setattr(function, "__signature__", signature)  # noqa: B010 (mypy knows no such attribute)
    return function


def function_of(module: str, name: str, **keywords: str) -> Spelling:
    """Take a function of the package."""
    return Spelling(f"{name}(...)", functools.partial(_found, module, name), keywords)


def _found(module: str, name: str) -> Callable[..., Any]:
    room: Any = importlib.import_module(f"merextras.{module}")
    return operator.attrgetter(name)(room)  # type: ignore[no-any-return] # a table of names


def of_means(name: str, **keywords: str) -> Spelling:
    """Take a method of what `emmeans` returns."""
    found = functools.partial(_found, "results.means.emmeans", f"Emmeans.{name}")
    return Spelling(f"means.{name}(...)", found, keywords)


def idiom(ours: str, name: str, **keywords: str) -> Spelling:
    """Take a function of a module of `merextras.r_idioms`, ``"module.function"``."""
    module, function = name.split(".")
    return Spelling(ours, functools.partial(_found, f"r_idioms.{module}", function), keywords)
