"""Execute the notebooks and keep their outputs: ``python tools/run_notebooks.py [FILE ...]``.

Outputs are part of the repository, so that a reader sees them without running anything and the
documentation is built without a kernel. Figures are kept at 80 dots per inch with a palette of 128
colours, which is a third of their size. A warning on stderr or an absolute path in an output is an
error here: neither belongs in what is published.

The package is imported from this checkout. Needs nbclient, nbformat, ipykernel and pillow.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
_KERNEL = "--InlineBackend.rc={'figure.dpi': 80}"
_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|opt|work|var|Users)/\S+")


def main() -> int:
    """Run the notebooks that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="*", type=Path, help="all notebooks by default")
    files = parser.parse_args().files or sorted((ROOT / "notebooks").glob("*.ipynb"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    for path in files:
        run(path.resolve())
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)
    return 0


def run(path: Path) -> None:
    """Execute a notebook in its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[_KERNEL],
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            _check(output, path.name)
            _shrink(output)
    # What differs from machine to machine
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


def _check(output: nbformat.NotebookNode, name: str) -> None:
    if output.get("name") == "stderr":
        raise ValueError(f"{name}: a cell wrote on stderr: {output['text']}")
    texts = [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    for text in [*texts, output.get("text", "")]:
        found = _PATH.search(text)
        if found:
            raise ValueError(f"{name}: an output has an absolute path: {found.group()}")


def _shrink(output: nbformat.NotebookNode) -> None:
    """Replace a figure by one with a palette, where that is smaller."""
    png = output.get("data", {}).get("image/png")
    if png is None:
        return
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    small = io.BytesIO()
    image.quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    encoded = base64.b64encode(small.getvalue()).decode()
    if len(encoded) < len(png):
        output["data"]["image/png"] = encoded


if __name__ == "__main__":
    sys.exit(main())
