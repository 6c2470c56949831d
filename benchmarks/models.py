"""The model of a case, in the forms that the packages want it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

GAUSSIAN = "gaussian"

#: What not every package can do; a worker names those that it can.
FAMILIES = "families"
STRUCTURES = "covariance structures"
RESIDUAL_BY = "residual variance by group"

#: Characters of a formula in a title.
_LONG = 100


@dataclass(frozen=True)
class Bar:
    """One ``(effects | group)`` of a formula; the group may be ``a/b``.

    `structure` is that of the effects' covariance, ``cs`` or ``ar1``; without one it is free.
    """

    effects: str
    group: str
    structure: str = ""

    def __str__(self) -> str:
        return f"{self.structure}({self.effects} | {self.group})"

    def expanded(self) -> list[Bar]:
        """Write ``a/b/c`` as ``a``, ``a:b`` and ``a:b:c``."""
        parts = self.group.split("/")
        groups = (":".join(parts[: i + 1]) for i in range(len(parts)))
        return [Bar(self.effects, group, self.structure) for group in groups]


@dataclass(frozen=True)
class Model:
    """Response, fixed part and random terms.

    `family` is that of the response as merextras names it, with the link that is its default there:
    gamma's is the logarithm. `residual_by` is the factor each of whose levels has a residual
    variance of its own.
    """

    response: str
    fixed: str
    bars: tuple[Bar, ...]
    family: str = GAUSSIAN
    residual_by: str = ""

    @property
    def needs(self) -> list[str]:
        """What a package must be able to do, beyond a linear model with free covariances."""
        asked = {
            FAMILIES: self.family != GAUSSIAN,
            STRUCTURES: any(bar.structure for bar in self.bars),
            RESIDUAL_BY: bool(self.residual_by),
        }
        return [ability for ability, needed in asked.items() if needed]

    @property
    def title(self) -> str:
        """The formula, shortened where it is long, and what is said besides it."""
        formula = self.formula
        if len(formula) > _LONG:
            formula = f"{formula[: _LONG // 2]} ... {formula[-_LONG // 4 :]}"
        besides = [self.family] if self.family != GAUSSIAN else []
        besides += [f"residual variance by {self.residual_by}"] if self.residual_by else []
        return ", ".join([formula, *besides])

    @property
    def formula(self) -> str:
        """lme4's formula."""
        return " + ".join([self.fixed_formula, *map(str, self.bars)])

    @property
    def fixed_formula(self) -> str:
        """The formula without its random terms."""
        return f"{self.response} ~ {self.fixed}"

    @property
    def expanded(self) -> str:
        """The formula with ``a/b/c`` written out, for who doesn't read that."""
        return " + ".join([self.fixed_formula, *map(str, self.terms)])

    @property
    def terms(self) -> list[Bar]:
        """The random terms, nesting written out."""
        return [term for bar in self.bars for term in bar.expanded()]

    def write(self, folder: Path) -> None:
        """Write to a folder, beside the data: a field a line for R, JSON for Python."""
        fields = {
            "formula": self.formula,
            "family": self.family,
            "residual_by": self.residual_by,
            "needs": ", ".join(self.needs),
        }
        lines = [f"{name}: {value}\n" for name, value in fields.items()]
        (folder / "model.dcf").write_text("".join(lines), encoding="utf-8")
        (folder / "model.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Model:
        """Read what `write` wrote."""
        raw = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        bars = tuple(Bar(**bar) for bar in raw["bars"])
        return cls(**raw | {"bars": bars})
