"""arm's ``mcsamp``, which R no longer has either."""

from __future__ import annotations

from typing import NoReturn

from merextras.exceptions import NotAvailableError


def mcsamp(m: object, *args: object, **kwargs: object) -> NoReturn:
    """Say that ``mcsamp`` is gone, and what to use.

    Parameters
    ----------
    m : object
        A fitted model.
    *args, **kwargs
        Whatever R's function took.

    Raises
    ------
    NotAvailableError
        Always. It is a `NotImplementedError` too.

    Notes
    -----
    ``arm::mcsamp`` ran lme4's ``mcmcsamp``, a Markov chain over all parameters, which lme4 removed
    in version 1.0 because it could not be relied on where a variance is near zero. ``sim`` draws
    the fixed and random effects and sigma with the variance parameters at their estimate, directly
    and independently; it has no chain, no burn-in and no convergence to check.

    Examples
    --------
    >>> from merextras.simulation.mcsamp import mcsamp
    >>> mcsamp(None)
    Traceback (most recent call last):
        ...
    merextras.exceptions.NotAvailableError: mcsamp: lme4 removed mcmcsamp, ...
    """
    del m, args, kwargs
    raise NotAvailableError(
        "mcsamp: lme4 removed mcmcsamp, on which it rested, so that it is gone from R too. Use "
        "sim(m) for joint draws of the fixed effects, random effects and sigma, and re_sim(m) or "
        "fe_sim(m) for their means, medians and standard deviations; the variance parameters stay "
        "at their estimate there"
    )
