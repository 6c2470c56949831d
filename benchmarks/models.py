"""What a case says about its model, in the forms the packages want it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bar:
    """One ``(effects | group)`` of a formula; the group may be ``a/b``."""

    effects: str
    group: str

    def __str__(self) -> str:
        return f"({self.effects} | {self.group})"

    def expanded(self) -> list[Bar]:
        """Write ``a/b/c`` as ``a``, ``a:b`` and ``a:b:c``."""
        parts = self.group.split("/")
        return [Bar(self.effects, ":".join(parts[: i + 1])) for i in range(len(parts))]


@dataclass(frozen=True)
class Model:
    """Response, fixed part and random terms."""

    response: str
    fixed: str
    bars: tuple[Bar, ...]

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
        """Write to a folder, beside the data: the formula for R, the rest for Python."""
        (folder / "formula.txt").write_text(self.formula + "\n", encoding="utf-8")
        (folder / "model.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Model:
        """Read what `write` wrote."""
        raw = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        bars = tuple(Bar(**bar) for bar in raw["bars"])
        return cls(raw["response"], raw["fixed"], bars)
