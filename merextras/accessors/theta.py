"""Names of the elements of theta."""

from __future__ import annotations

from merextras.model.design.design import Design


def theta_names(design: Design) -> tuple[str, ...]:
    """Names as lme4 has them: ``Subject.Intercept Subject.Days.Intercept Subject.Days``."""
    names = []
    for term in design.terms:
        for j, column in enumerate(term.names):
            names.append(f"{term.factor}.{column}")
            names += [f"{term.factor}.{row}.{column}" for row in term.names[j + 1 :]]
    return tuple(names)


def parameter_labels(design: Design) -> tuple[str, ...]:
    """Names of theta and, with residual variances by group, of what stands after it."""
    names, groups = theta_names(design), design.residual
    more = () if groups is None else tuple(f"log precision of {x}" for x in groups.levels[1:])
    return (*names, *more)
