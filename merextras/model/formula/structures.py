"""Covariance structures as a formula writes them: ``diag(x | g)``, ``cs(0 + f | g, hom=True)``."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from merextras.engine.covariance.tags import KINDS, Tag
from merextras.exceptions import InvalidArgumentError

#: Structures of other packages, and what to write for those that are ours under another name.
_OTHERS = {
    **dict.fromkeys(("toep", "hettoep", "homtoep", "ou", "exp", "gau", "mat", "rr"), ""),
    **dict.fromkeys(("propto", "equalto", "arma", "car1"), ""),
    **dict.fromkeys(("un", "unstr", "unstructured"), "us(... | g)"),
    **dict.fromkeys(("hetdiag", "diagonal", "idh"), "diag(... | g)"),
    **dict.fromkeys(("homdiag", "idv"), "diag(... | g, hom=True)"),
    "hetcs": "cs(... | g)",
    "compsymm": "cs(... | g)",
    "homcs": "cs(... | g, hom=True)",
    "hetar1": "ar1(... | g, het=True)",
    "homar1": "ar1(... | g)",
    "ar": "ar1(... | g)",
}
_LOGICAL = {"True": True, "TRUE": True, "T": True, "False": False, "FALSE": False, "F": False}


def tag_of(word: str, arguments: Sequence[str]) -> Tag | None:
    """The structure of a call around a bar; None if the word is some function of the user's.

    Parameters
    ----------
    word : str
        What stands before the parenthesis.
    arguments : sequence of str
        What stands after the bar's factors: ``hom=True``.

    Raises
    ------
    InvalidArgumentError
        A structure that there is not, or a keyword or value that it does not take.
    """
    if word not in KINDS:
        if word.lower() not in {*_OTHERS, *KINDS} and not get_close_matches(word, KINDS, 1, 0.8):
            return None
        instead = _OTHERS.get(word.lower(), "")
        raise InvalidArgumentError(
            f"there is no covariance structure {word!r}; there are {', '.join(KINDS)}"
            + (f", and this one is {instead}" if instead else "")
        )
    kind, tag = KINDS[word], Tag(word, KINDS[word].hom is True)
    for argument in arguments:
        keyword, equals, value = (part.strip() for part in argument.partition("="))
        if not equals or keyword != kind.keyword:
            takes = f"takes {kind.keyword}=True" if kind.keyword else "takes no keyword"
            raise InvalidArgumentError(f"{word}() {takes}, not {argument!r}")
        if value not in _LOGICAL:
            raise InvalidArgumentError(f"{word}(): {keyword} is True or False, not {value!r}")
        tag = Tag(word, _LOGICAL[value] == (keyword == "hom"))
    return tag
