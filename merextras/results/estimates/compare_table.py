"""Several models side by side, as text, HTML, LaTeX and Markdown."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from os import PathLike

import pandas as pd

from merextras.results.base import TextResult

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", "²": "$^2$", ">": r"\textgreater{}", "|": r"\textbar{}",
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
        rows += [[str(label), *row] for label, row in zip(*self._cells(), strict=True)]
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
        below = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"{self.frame.to_html()}{below}"

    def to_excel(self, path: str | PathLike[str], *, sheet: str = "models") -> None:
        """Write the table to an Excel file, its notes in the rows below, by pandas.

        Parameters
        ----------
        path : str or path
            A file ending in ``.xlsx``; one that exists is replaced.
        sheet : str, default "models"

        Raises
        ------
        ImportError
            openpyxl, which pandas writes such files with, is not installed.
        """
        below = pd.DataFrame("", index=list(self.notes), columns=self.frame.columns)
        pd.concat([self.frame, below]).to_excel(path, sheet_name=sheet)

    def to_markdown(self) -> str:
        """The table as Markdown with columns of text aligned right; needs no other package."""
        columns = [_for_markdown(str(c)) for c in self.frame.columns]
        lines = [f"| | {' | '.join(columns)} |", f"|:--|{'--:|' * len(columns)}"]
        for label, row in zip(*self._cells(), strict=True):
            cells = " | ".join(map(_for_markdown, [str(label), *row]))
            lines.append(f"| {cells} |")
        return "\n".join([*lines, "", *self.notes])

    def to_latex(
        self, *, caption: str | None = None, label: str | None = None, notes: bool = True
    ) -> str:
        r"""The table in LaTeX with its notes below; needs no other Python package.

        Parameters
        ----------
        caption, label : str, optional
            With either the whole is a floating ``table``. Both are LaTeX, and stay as they are.
        notes : bool, default True
            Print the notes, what is in parentheses and what stars stand for, as the package
            threeparttable does. False leaves a bare ``tabular``.

        Returns
        -------
        str
            To be used with ``\usepackage{booktabs, threeparttable}``.

        Examples
        --------
        >>> import merextras as mx
        >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
        >>> table = mx.compare_table(m, names=["dyes"], stars=True, r_squared=False)
        >>> print(table.to_latex(caption="Yields"))
        \begin{table}
        \centering
        \begin{threeparttable}
        \caption{Yields}
        \begin{tabular}{lr}
        \toprule
         & dyes \\
        ...
        \begin{tablenotes}\footnotesize
        \item Standard errors in parentheses.
        \item * p \textless{} 0.05, ** p \textless{} 0.01, *** p \textless{} 0.001.
        \end{tablenotes}
        \end{threeparttable}
        \end{table}
        """
        floats = caption is not None or label is not None
        titles = [] if caption is None else [rf"\caption{{{caption}}}"]
        titles += [] if label is None else [rf"\label{{{label}}}"]
        lines = self._tabular()
        if notes and self.notes:
            below = [rf"\item {_for_latex(note)}" for note in self.notes]
            below = [r"\begin{tablenotes}\footnotesize", *below, r"\end{tablenotes}"]
            lines = [*titles, *lines, *below]
            lines = [r"\begin{threeparttable}", *lines, r"\end{threeparttable}"]
        elif floats:
            lines = [*titles, *lines]
        if floats:
            lines = [r"\begin{table}", r"\centering", *lines, r"\end{table}"]
        return "\n".join(lines)

    def _tabular(self) -> list[str]:
        """The lines of the table itself, with booktabs' rules."""
        head = " & ".join(["", *(_for_latex(str(c)) for c in self.frame.columns)])
        lines = [rf"\begin{{tabular}}{{l{'r' * self.frame.shape[1]}}}", r"\toprule"]
        lines += [rf"{head} \\", r"\midrule"]
        for i, (label, row) in enumerate(zip(*self._cells(), strict=True)):
            if i in self.sections and i:
                lines.append(r"\midrule")
            lines.append(rf"{' & '.join(map(_for_latex, [str(label), *row]))} \\")
        return [*lines, r"\bottomrule", r"\end{tabular}"]

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        return [str(label) for label in self.frame.index], self.frame.to_numpy().tolist()


def _for_latex(text: str) -> str:
    """Escape the text; a number's minus is one, and a bracket no argument of the row's end."""
    escaped = "".join(_LATEX.get(char, char) for char in text)
    return re.sub(r"^\[", "{[}", re.sub(r"^(\(?)-(?=\d)", r"\1$-$", escaped))


def _for_markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*")
