"""The command ``merextras``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import merextras
from merextras.exceptions import InvalidArgumentError, MerextrasError, MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

#: What is fitted where neither data nor formula are given.
_FORMULA = "extro ~ open + agree + social + (1 | school)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 if all went well, 2 on bad input."""
    parser = _parser()
    given = parser.parse_args(argv)
    if given.command is None:
        parser.print_help()
        return 2
    run: Callable[[argparse.Namespace], None] = {
        "demo": _demo, "explore": _explore, "report": _report
    }[given.command]  # fmt: skip
    try:
        run(given)
    except (MerextrasError, OSError) as err:
        print(f"merextras {given.command}: {err}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="merextras", description="lme4's answers for statsmodels' mixed models."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {merextras.__version__}")
    commands = parser.add_subparsers(dest="command")
    _add_demo(commands)
    explore = _add_model(
        commands, "explore", "look at a model in the browser",
        "Fit a model and open a page of it, served to this machine alone. Without --data and "
        f"--formula: {_FORMULA} of the bundled students.",
    )  # fmt: skip
    explore.add_argument("--port", type=int, default=0, help="port (any that is free)")
    explore.add_argument("--no-browser", action="store_true", help="only print the address")
    report = _add_model(
        commands, "report", "write a report of a model as one HTML file",
        "Fit a model and write its report: words, symbols, tables, figures, checks, code. Without "
        f"--data and --formula: {_FORMULA} of the bundled students.",
    )  # fmt: skip
    report.add_argument("--out", type=Path, default=Path("report.html"), help="file (%(default)s)")
    report.add_argument("--title", help="title of the report")
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="fit the tutorial's model, print its results, write its figures",
        description="Fit extro ~ open + agree + social with an intercept by school; print each "
        "result with a one-line reading; write the figures as PNG.",
    )
    demo.add_argument(
        "--data",
        type=Path,
        help="CSV with extro, open, agree, social, class, school (bundled twin)",
    )
    demo.add_argument(
        "--out", type=Path, default=Path("merextras-demo"), help="folder for figures (%(default)s)"
    )


def _add_model(commands: Any, name: str, short: str, long: str) -> argparse.ArgumentParser:
    """A command that fits a model from a file."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=short, description=long)
    parser.add_argument("--data", type=Path, help="a CSV or parquet file")
    parser.add_argument(
        "--formula",
        help="lme4's formula, such as 'y ~ x + (1 | g)'; it is Python code, so read one from "
        "someone else before you run it",
    )
    return parser


def _without_windows() -> None:
    """Draw to files: no display is needed or opened."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")


def _demo(given: argparse.Namespace) -> None:
    _without_windows()
    from merextras import demo  # noqa: PLC0415

    figures = demo.run(demo.read_data(given.data), given.out)
    print(f"\n{len(figures)} figures in {given.out.resolve()}:")
    for path in figures:
        print(f"  {path.name}")


def _explore(given: argparse.Namespace) -> None:
    _without_windows()
    from merextras.app.explore import explore  # noqa: PLC0415

    explore(_fitted(given), port=given.port, browser=not given.no_browser, wait=True)


def _report(given: argparse.Namespace) -> None:
    _without_windows()
    from merextras.reporting.document import report  # noqa: PLC0415

    made = report(_fitted(given), given.out, title=given.title)
    print(f"The report is {made.resolve()}")


def _fitted(given: argparse.Namespace) -> Any:
    """The model of ``--data`` and ``--formula``, or the tutorial's."""
    import merextras as mx  # noqa: PLC0415

    if given.data is None and given.formula is None:
        return mx.lmer(_FORMULA, mx.load_dataset("students"))
    if given.data is None or given.formula is None:
        raise InvalidArgumentError(
            "give both --data and --formula, or neither for the bundled students"
        )
    return mx.lmer(given.formula, _read(given.data))


def _read(path: Path) -> pd.DataFrame:
    """The rows of a file.

    Raises
    ------
    InvalidArgumentError
        It is not there, is neither CSV nor parquet, or can't be read.
    MissingExtraError
        A parquet file, and pyarrow is not installed.
    """
    import pandas as pd  # noqa: PLC0415

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": pd.read_csv, ".parquet": pd.read_parquet
    }  # fmt: skip
    if path.suffix.lower() not in readers:
        raise InvalidArgumentError(f"--data {path}: a .csv or .parquet file is needed")
    try:
        return readers[path.suffix.lower()](path)
    except ImportError as err:
        raise MissingExtraError(
            f"--data {path}: parquet files are read by pyarrow; install it with "
            "python -m pip install 'merextras[arrow]'"
        ) from err
    except (OSError, ValueError) as err:
        raise InvalidArgumentError(f"--data {path}: {err}") from err
