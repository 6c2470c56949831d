"""Summaries over several fits of one model: means, and spread between fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.accessors.estimates import ranef, sigma, var_corr
from merextras.foundation.aliases import Array
from merextras.model.state.fitted import FittedModel
from merextras.results.estimates.ranef import Ranef
from merextras.results.estimates.var_corr import Component, VarCorr


def pooled_var_corr(models: Sequence[FittedModel]) -> VarCorr:
    """Means of the covariance matrices and of the residual variance."""
    every = [var_corr(model) for model in models]
    components = [
        Component(same[0].group, same[0].names, np.mean([c.covariance for c in same], axis=0))
        for same in zip(*(one.components for one in every), strict=True)
    ]
    if models[0].is_generalised:
        return VarCorr(components, None)
    return VarCorr(components, float(np.sqrt(np.mean([sigma(model) ** 2 for model in models]))))


def pooled_ranef(models: Sequence[FittedModel]) -> Ranef:
    """Means of the conditional modes, and their variances by Rubin's rules.

    Levels by levels over the fits that have the level; with one such fit there is no variance
    between fits, and the conditional variance is NaN.
    """
    every = [ranef(model) for model in models]
    frames, post_var = {}, {}
    for factor in every[0]:
        levels = _union([one[factor].index for one in every])
        names = list(every[0][factor].columns)
        modes = np.full((len(every), len(levels), len(names)), np.nan)
        within = np.full((*modes.shape, len(names)), np.nan)
        for i, one in enumerate(every):
            at = levels.get_indexer(one[factor].index)
            modes[i, at] = one[factor].to_numpy()
            if one.post_var is not None:
                within[i, at] = one.post_var[factor]
        mean, total = _by_rubin(modes, within)
        frames[factor] = pd.DataFrame(mean, index=levels, columns=names)
        post_var[factor] = total
    return Ranef(frames, post_var)


def _union(parts: Sequence[pd.Index]) -> pd.Index:
    """All levels: in the order of the first fit, then those that it does not have."""
    levels = parts[0]
    for part in parts[1:]:
        levels = levels.append(part[~part.isin(levels)])
    return levels


def _by_rubin(modes: Array, within: Array) -> tuple[Array, Array]:
    """Means and total covariances over the first axis, without its NaN."""
    there = ~np.isnan(modes[:, :, 0])
    m = there.sum(axis=0)
    mean = np.where(there[..., None], modes, 0.0).sum(axis=0) / m[:, None]
    centred = np.where(there[..., None], modes - mean, 0.0)
    inside = np.where(there[..., None, None], within, 0.0).sum(axis=0) / m[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.einsum("mla,mlb->lab", centred, centred) / (m - 1)[:, None, None]
    return mean, inside + (1.0 + 1.0 / m)[:, None, None] * spread


def re_stats(models: Sequence[FittedModel]) -> pd.DataFrame:
    """Mean, median and SD over the fits of each standard deviation and correlation."""
    tables = [var_corr(model).to_frame() for model in models]
    values = np.array([table["sdcor"] for table in tables])
    first = tables[0]
    spread = "sd_" + first["var1"].fillna("Observation")
    pairs = zip(first["var1"], first["var2"], spread, strict=True)
    names = [sd if pd.isna(two) else f"cor_{one}.{two}" for one, two, sd in pairs]
    return pd.DataFrame(
        {
            "group": first["grp"],
            "term": names,
            "mean": values.mean(axis=0),
            "median": np.median(values, axis=0),
            "sd": values.std(axis=0, ddof=1),
        }
    )
