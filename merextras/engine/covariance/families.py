"""Inclusion of covariance structures: whether each covariance of one is one of another."""

from __future__ import annotations

from collections.abc import Sequence

from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.correlated import Correlated
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.structure import Structure


def contains(large: Structure, small: Structure, at: Sequence[int] | None) -> bool:
    """Whether each covariance of a small structure is one of the large.

    Parameters
    ----------
    large, small : Structure
    at : sequence of int or None
        Which of the large one's effects the small one's are; None if they are combinations of them.

    Notes
    -----
    Effects that the small one has not have no variance there. Independence is a correlation of
    zero; an autoregression of some of the effects is none of all.
    """
    if large.is_full:
        return True
    if at is None:
        return False
    whole, shared = small.k == large.k and list(at) == list(range(large.k)), one_sd(large)
    if shared and not (whole and one_sd(small)):
        return False
    if isinstance(small, Diagonal) or small.k == 1:
        return True
    if not isinstance(large, Correlated) or type(small) is not type(large):
        return False
    return whole or isinstance(large, CompoundSymmetry)


def one_sd(structure: Structure) -> bool:
    """Whether all effects have one standard deviation."""
    return structure.k > 1 and int(structure.is_sd.sum()) == 1


def has_equal(large: Structure) -> bool:
    """Whether effects that are all the same, as of one intercept, are among its covariances."""
    return large.is_full or isinstance(large, Correlated)
