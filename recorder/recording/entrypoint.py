"""Find and load the function of an experiment: from a file, a module, or a record.

A script runs as ``__main__``, as when it was recorded, without its main guard, which would start the program: the
``if __name__ == "__main__":`` blocks at its top level are left out. If a script calls the experiment at its top level,
loading ends at that call: everything before it has happened, as when it was recorded. Other experiments called on the
way run unrecorded.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import dis
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ..errors import TargetError
from .experiment import Experiment, experiment_of, intercept


class _Reached(BaseException):
    """Raised when the script calls the experiment that is being loaded."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment


def load_target(target: str, *, cwd: Path) -> Experiment:
    """Import and return the experiment named ``FILE.py:NAME`` or ``package.module:NAME``.

    An undecorated function becomes an experiment. Raises TargetError.
    """
    where, _, name = target.rpartition(":")
    if not where or not name:
        raise TargetError(
            f"{target!r} does not name an experiment: write FILE.py:NAME or MODULE:NAME",
            target=target,
        )
    file = (cwd / where).absolute()
    if where.endswith(".py") or file.is_file():
        if not file.is_file():
            raise TargetError(f"no file {where}", target=target)
        return load_file(file, name, target=target)
    if str(cwd) not in sys.path:
        sys.path.insert(0, str(cwd))
    return load_module(where, name, target=target)


def load_file(file: Path, qualname: str, *, target: str = "") -> Experiment:
    """Return the experiment `qualname` of a file: a script, or a module of the package that contains it."""
    package, root = _package_of(file)
    if package:
        sys.path.insert(0, str(root))
        return load_module(f"{package}.{file.stem}", qualname, target=target)
    sys.path.insert(0, str(file.parent))
    return load_script(file, qualname, target=target)


def _package_of(file: Path) -> tuple[str, Path]:
    """Return the dotted name of the file's package, "" for none, and the folder to import it from."""
    parts: list[str] = []
    folder = file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def load_module(module: str, qualname: str, *, target: str = "") -> Experiment:
    """Return the experiment `qualname` of an importable module."""
    target = target or f"{module}:{qualname}"
    with _Loading(qualname) as loading:
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise
            raise TargetError(f"no module {module!r}", target=target) from error
    return loading.reached or resolve(loaded, qualname, target=target)


def load_script(file: Path, qualname: str, *, target: str = "") -> Experiment:
    """Return the experiment `qualname` of a script, run as ``__main__`` without its main guard.

    If the function uses a name that only the guard defines, the guard runs too, up to the first call of the
    experiment.
    """
    target = target or f"{file.name}:{qualname}"
    tree = _parse(file, target)
    found = _run_script(file, _without_guards(tree), qualname, target)
    missing = _missing_names(found.function, vars(sys.modules["__main__"]))
    if missing & _guarded_names(tree):
        found = _run_script(file, tree, qualname, target)
    return found


def _parse(file: Path, target: str) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        raise TargetError(
            f"{file.name}, line {error.lineno}: {error.msg}", target=target
        ) from error


def _run_script(file: Path, tree: ast.Module, qualname: str, target: str) -> Experiment:
    module = ModuleType("__main__")
    module.__file__ = str(file)
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    code = compile(tree, str(file), "exec", dont_inherit=True)
    with _Loading(qualname) as loading:
        exec(code, vars(module))
    return loading.reached or resolve(module, qualname, target=target)


class _Loading:
    """A ``with`` block in which a call of the experiment `qualname` ends the loading of its module."""

    reached: Experiment | None = None

    def __init__(self, qualname: str) -> None:
        self._qualname = qualname

    def __enter__(self) -> _Loading:
        intercept(self._intercept)
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> bool:
        intercept(None)
        if isinstance(error, _Reached):
            self.reached = error.experiment
        # A script that ends with sys.exit(main()) has defined everything by that point.
        return isinstance(error, _Reached | SystemExit)

    def _intercept(
        self, experiment: Experiment, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        if self._qualname in (experiment.function.__qualname__, experiment.name):
            raise _Reached(experiment)
        return experiment.function(*args, **kwargs)


def resolve(module: ModuleType, qualname: str, *, target: str) -> Experiment:
    """Return the experiment with that dotted name in the module, or with that `@record(name=...)`."""
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is None:
        found = next((e for e in _experiments(module) if e.name == qualname), None)
    if found is None:
        raise TargetError(_no_such(module, qualname), target=target)
    return as_experiment(found, target=target)


def as_experiment(found: Any, *, target: str) -> Experiment:
    """Return a value as an experiment; a plain function becomes one. Raises TargetError."""
    found = getattr(found, "__func__", found)
    experiment = found if isinstance(found, Experiment) else experiment_of(found)
    if experiment is not None:
        return experiment
    if not inspect.isfunction(found):
        raise TargetError(f"{target} is {type(found).__name__}, not a function", target=target)
    return Experiment(found)


def _experiments(module: ModuleType) -> Iterator[Experiment]:
    for value in vars(module).values():
        experiment = experiment_of(value)
        if experiment is not None:
            yield experiment


def _no_such(module: ModuleType, qualname: str) -> str:
    names = sorted(experiment.name for experiment in _experiments(module))
    where = Path(module.__file__).name if module.__file__ else module.__name__
    functions = [name for name, value in vars(module).items() if inspect.isfunction(value)]
    near = difflib.get_close_matches(qualname, dict.fromkeys([*names, *functions]), n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    hint = f"its experiments are {', '.join(names)}" if names else "it has no recorded function"
    return f"no {qualname!r} in {where}{guess}: {hint}"


def _is_guard(node: ast.stmt) -> bool:
    """Return whether the statement is ``if __name__ == "__main__":``, in either order."""
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    test = node.test
    if len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, test.comparators[0]]
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    texts = [side.value for side in sides if isinstance(side, ast.Constant)]
    return names == ["__name__"] and texts == ["__main__"]


def _without_guards(tree: ast.Module) -> ast.Module:
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and _is_guard(node):
            body += node.orelse
        else:
            body.append(node)
    return ast.Module(body=body, type_ignores=tree.type_ignores)


def _guarded_names(tree: ast.Module) -> set[str]:
    """Return the names that the main guards of the script define."""
    guards = [node for node in tree.body if _is_guard(node)]
    return {
        node.id if isinstance(node, ast.Name) else (node.asname or node.name).partition(".")[0]
        for guard in guards
        for node in ast.walk(guard)
        if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        or isinstance(node, ast.alias)
    }


def _missing_names(function: Callable[..., Any], namespace: Mapping[str, Any]) -> set[str]:
    """Return the global names missing for the function and for the script's functions that it uses."""
    missing: set[str] = set()
    seen: set[CodeType] = set()
    waiting = [inspect.unwrap(function)]
    while waiting:
        code = getattr(waiting.pop(), "__code__", None)
        if code is None or code in seen:
            continue
        seen.add(code)
        for name in _global_names(code):
            if name in namespace:
                value = inspect.unwrap(namespace[name]) if callable(namespace[name]) else None
                if getattr(value, "__module__", None) == "__main__":
                    waiting.append(value)
            elif not hasattr(builtins, name):
                missing.add(name)
    return missing


def _global_names(code: CodeType) -> set[str]:
    names = {
        i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names
