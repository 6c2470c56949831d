"""Several models side by side, as text, HTML, LaTeX and Markdown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merextras.results.base import TextResult

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class CompareTable(TextResult):
    """What `compare_table` returns.

    Attributes
    ----------
    frame : DataFrame
        Of text, a column per model; the row below an estimate, its standard error, has an empty
        label.
    sections : tuple of int
        Rows before which a rule is drawn: the first of the variance parameters, and of the footer.
    notes : tuple of str
    """

    frame: pd.DataFrame
    sections: tuple[int, ...]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """The table as a frame of text."""
        return self.frame.copy()

    def to_text(self) -> str:
        """The table with rules between its parts."""
        rows = [["", *map(str, self.frame.columns)]]
        rows += [[str(label), *row] for label, row in zip(*self._parts(), strict=True)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in rows
        ]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        body = [lines[0], rule]
        for i, line in enumerate(lines[1:]):
            body += [rule, line] if i in self.sections and i else [line]
        return "\n".join([*body, rule, *self.notes])

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """The table as HTML, by pandas, its notes below."""
        below = "".join(f"<p>{note}</p>" for note in self.notes)
        return f"{self.frame.to_html()}{below}"

    def to_markdown(self) -> str:
        """The table as Markdown with columns of text aligned right; needs no other package."""
        columns = [_for_markdown(str(c)) for c in self.frame.columns]
        lines = [f"| | {' | '.join(columns)} |", f"|:--|{'--:|' * len(columns)}"]
        for label, row in zip(*self._parts(), strict=True):
            cells = " | ".join(map(_for_markdown, [str(label), *row]))
            lines.append(f"| {cells} |")
        return "\n".join([*lines, "", *self.notes])

    def to_latex(self) -> str:
        """The table as a LaTeX ``tabular`` with booktabs' rules; needs no other package.

        pandas' own ``to_frame().to_latex()`` needs jinja2.
        """
        head = " & ".join(["", *(_for_latex(str(c)) for c in self.frame.columns)])
        lines = [rf"\begin{{tabular}}{{l{'r' * self.frame.shape[1]}}}", r"\toprule"]
        lines += [rf"{head} \\", r"\midrule"]
        for i, (label, row) in enumerate(zip(*self._parts(), strict=True)):
            if i in self.sections and i:
                lines.append(r"\midrule")
            lines.append(rf"{' & '.join(map(_for_latex, [str(label), *row]))} \\")
        lines += [r"\bottomrule", r"\end{tabular}", *(f"% {note}" for note in self.notes)]
        return "\n".join(lines)

    def _parts(self) -> tuple[list[str], list[list[str]]]:
        return [str(label) for label in self.frame.index], self.frame.to_numpy().tolist()


def _for_latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)


def _for_markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*")
