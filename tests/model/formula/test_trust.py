"""One gate before the evaluators of formula code."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pandas as pd
import pytest

import merextras
from merextras.exceptions import UnsupportedModelError
from merextras.model.columns.fixed import FormulaPart, Scope
from merextras.model.evaluation.computed import Computed
from merextras.model.formula.trust import check_trusted

#: What evaluates code, of patsy, formulaic and Python.
EVALUATORS = {
    *("dmatrix", "dmatrices", "EvalFactor", "EvalEnvironment", "build_design_matrices"),
    *("incr_dbuilder", "incr_dbuilders", "memorize_passes_needed", "memorize_chunk"),
    *("model_matrix", "get_model_matrix", "eval", "exec", "compile", "query", "__import__"),
    *("loads", "load"),
}
#: Where they may be called, and why no text from a file comes there.
ALLOWED = {
    "model/columns/fixed.py": "behind the gate: Scope, and the parts that it has made",
    "model/evaluation/computed.py": "behind the gate: Computed",
    "model/columns/coded.py": "an empty EvalEnvironment: patsy codes factors that are known",
    "model/evaluation/specs.py": "a spec that Scope has made",
    "model/products/formula_of.py": "EvalFactor's name of a piece of code, which is not compiled",
    "model/products/file.py": "json.loads",
    "model/products/blocks.py": "json.loads",
    "results/replicates/bootstrap_file.py": "json.loads",
}


def _called(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            own = getattr(getattr(node.func, "value", None), "id", "")
            if name in EVALUATORS and (own, name) != ("re", "compile"):
                yield name


def test_evaluators_are_called_behind_the_gate_alone():
    root = Path(merextras.__file__).parent
    found = {str(p.relative_to(root)): sorted(set(_called(p))) for p in root.rglob("*.py")}
    elsewhere = {p: names for p, names in found.items() if names and p not in ALLOWED}
    assert not elsewhere, "formula code goes through Scope or Computed, which ask check_trusted"


#: What names a column, and what is code.
PLAIN = ["x", " x ", 'Q("a b")', "Q('x')", "C(x)", "C(x, Sum)", "C(Q('a b'), Treatment('u'))", "1"]
CODE = [
    *("x + 0", "np.log(x)", "f(x)", "C(f(x))", "C(x, f)", "C(x, Treatment(f()))", "Q(f('x'))"),
    *(
        "x.real",
        "x[0]",
        "z",
        "Q('z')",
        "C(x, Sum, 1)",
        "C(x, levels=[f()])",
        "lambda: x",
        "(x := 1)",
    ),
    *("[x for x in y]", "'x'", "x if f() else x", "C(x, Sum)(f())", "not code", "", "(" * 5000),
    *("I(x)", "Treatment", "C(x, Treatment(*f()))", "f'{f()}'", "C(*f())", "await x"),
]


@pytest.mark.parametrize("code", PLAIN)
def test_names_of_columns_pass(code):
    check_trusted([code], ["x", "a b"], trusted=False)


@pytest.mark.parametrize("code", CODE)
def test_code_does_not_pass_unless_it_is_trusted(code):
    with pytest.raises(UnsupportedModelError, match="Python code from a file, which is not run"):
        check_trusted([code], ["x", "a b"], trusted=False)
    check_trusted([code], ["x", "a b"], trusted=True)


def test_distrust_is_passed_on():
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    scope = Scope({"f": abs}, trusted=False)
    for each in (
        *(
            scope,
            scope.only(["f"]),
            scope.within({"g": abs}),
            scope.by("patsy"),
            pickle.loads(pickle.dumps(scope)),
        ),
        pickle.loads(pickle.dumps(scope.only([]))).within({}),
    ):
        assert each.column("x", frame).tolist() == [1.0, 2.0]
        assert each.matrix("1 + x", frame).design_info.column_names == ["Intercept", "x"]
        for code in ("f(x)", "np.log(x)"):
            with pytest.raises(UnsupportedModelError, match="from a file"):
                each.column(code, frame)
            with pytest.raises(UnsupportedModelError, match="from a file"):
                each.matrix(f"x + {code}", frame)
    part = FormulaPart.from_formula("1 + x", frame, scope=scope)
    for each in (part, pickle.loads(pickle.dumps(part))):
        assert each.matrix(frame[:1]).tolist() == [[1.0, 1.0]]
        assert not each.trusted
    computed = Computed.from_stored("f(x)", {}, trusted=False)
    for each in (computed, pickle.loads(pickle.dumps(computed))):
        each.with_names({"f": abs})
        with pytest.raises(UnsupportedModelError, match="from a file"):
            each.values(frame)
