"""Names of the elements of theta."""

from __future__ import annotations

from merextras.model.design.design import Design


def theta_names(design: Design) -> tuple[str, ...]:
    """Names as lme4 has them: ``Subject.Intercept Subject.Days.Intercept Subject.Days``.

    ``Subject.*`` is a standard deviation that effects share, ``Subject.rho`` their correlation.
    """
    names = []
    for term in design.terms:
        labels = term.structure.labels(term.names)
        names += [".".join((term.factor, *label)) for label in labels]
    return tuple(names)


def parameter_labels(design: Design) -> tuple[str, ...]:
    """Names of theta and, with residual variances by group, of what stands after it."""
    names, groups = theta_names(design), design.residual
    more = () if groups is None else tuple(f"log precision of {x}" for x in groups.levels[1:])
    return (*names, *more)
