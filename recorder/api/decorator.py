"""`@record`, and the type of the functions that it returns.

`import recorder` loads this module, so it loads nothing else of recorder until an experiment is called.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import (
    Any,
    Concatenate,
    NamedTuple,
    NoReturn,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

from ..recording.experiment import Experiment, experiment_of, is_intercepted
from ..recording.generators import drive_async
from ..recording.options import KEEP_BYTES, Declared, check_interval, check_options

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound="classmethod[Any, ..., Any] | staticmethod[..., Any]")


class Recorded(Protocol[P, R_co]):
    """A recorded function: it is called like the undecorated one, and each call leaves a run.

    This is the static type of a decorated function. At run time that is a plain function (a coroutine function, a
    generator function) with these attributes.
    """

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The undecorated function; a call of it is not recorded."""

    @property
    def experiment(self) -> str:
        """The experiment's name, under which its runs are listed."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and record the call as a run."""

    # Accessed by the class it may be a class method, whose first parameter is bound: mypy cannot tell, so its
    # arguments are not checked there.
    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Recorded[..., R_co]: ...

    @overload
    def __get__(
        self: Recorded[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /
    ) -> Callable[Q, R]: ...

    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        """Bind a recorded method to its instance."""

    def preset(self, function: F, /) -> F:
        """Register a named preset: see `add_preset`."""

    def main(self, args: Sequence[str] | None = None) -> NoReturn:
        """Run the command line of the experiment: see `run_main`."""


@overload
def record(function: C, /) -> C: ...  # type: ignore[overload-overlap]


@overload
def record(function: Callable[P, R], /) -> Recorded[P, R]: ...


@overload
def record(
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    seed: str = "seed",
    store: str | os.PathLike[str] | None = None,
    strict: bool = False,
    tolerance: Declared | None = None,
    secrets: Sequence[str] = (),
    public: Sequence[str] = (),
    usage: float | None = None,
    keep_bytes: int = KEEP_BYTES,
    reuse: bool = False,
) -> Callable[[Callable[P, R]], Recorded[P, R]]: ...


def record(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    seed: str = "seed",
    store: str | os.PathLike[str] | None = None,
    strict: bool = False,
    tolerance: Declared | None = None,
    secrets: Sequence[str] = (),
    public: Sequence[str] = (),
    usage: float | None = None,
    keep_bytes: int = KEEP_BYTES,
    reuse: bool = False,
) -> Any:
    """Record every call of a function as a run.

    ::

        from recorder import log, record, save

        @record
        def train(lr: float = 0.1, seed: int = 0) -> dict[str, float]:
            ...
            log(loss=loss, step=epoch)        # a metric
            save("model.npz")                 # an output
            return {"accuracy": accuracy}     # the result

        @record(name="baseline", tags=["paper"], tolerance=1e-6)
        def fit(path: str) -> float: ...

    The function keeps its signature, docstring, return value, exceptions and kind. Functions, coroutine functions,
    generator functions, methods, class methods, static methods, bound methods and `functools.partial` objects can be
    recorded. The run of a generator lasts until it is exhausted or closed.

    A run holds the arguments with defaults applied, the code, the environment, the seed, the files read and written,
    the result, the metrics and the console output. List runs with ``recorder list``, run one again with
    ``recorder replay RUN``, compare two with ``recorder diff A B``, and read them in Python with `recorder.Store`.

    The recorded function has these attributes:

    ``train.main()``
        Run a command line with an option for each parameter: ``python train.py --lr 0.1,0.01 --repeat 5 -j 2``.
    ``@train.preset``
        Register a function that returns values for parameters, for ``recorder run train.py:train --preset NAME``.
    ``train.experiment``
        The experiment's name.
    ``train.__wrapped__``
        The undecorated function; a call of it is not recorded.

    Args:
        function: The function to record. Omit it to set options: ``@record(name="baseline")``.
        name (str): The name of the experiment, under which its runs are listed. Default: the function's qualified
            name, such as ``train`` or ``Model.fit``. Example: ``name="baseline"``.
        tags (sequence of str): Tags that each run gets. Default: none. Example: ``tags=["paper", "v2"]``.
        seed (str): The parameter that holds the seed. If it is an integer in a call, random, NumPy, PyTorch and the
            other generators are seeded with it. If it is omitted or None, the function gets a drawn seed. A function
            without such a parameter is seeded too. A generator that the program has seeded itself, with
            ``random.seed(1)`` for example, keeps its state, which a replay restores. Default: ``"seed"``. Example:
            ``seed="random_state"``.
        store (str or path): The folder of the store. Default: the variable RECORDER_STORE, else ``.recorder`` at the
            root of the git repository with the function's file. Example: ``store="~/runs"``.
        strict (bool): Raise an error before the function starts, rather than warn, if something cannot be captured
            or a replay is known to be unreliable. Default: False. Example: ``strict=True``.
        tolerance (float or mapping): The difference up to which a number in a replay counts as close. A number is a
            relative tolerance for everything; a mapping sets it for names or patterns of metrics, outputs, files and
            the result. Default: numbers must be equal. Examples: ``tolerance=1e-6``,
            ``tolerance={"loss": 1e-3, "result.*": {"rtol": 1e-5, "atol": 1e-8}}``.
        secrets (sequence of str): Parameters, or dotted entries of one, whose values are never written down, in
            addition to those that look like credentials. Default: none. Example: ``secrets=["dsn", "db.password"]``.
        public (sequence of str): Parameters, or dotted entries of one, that look like credentials but are not.
            Default: none. Example: ``public=["token_count"]``.
        usage (float): The interval in seconds at which processor, memory and GPU usage are sampled into the metrics
            ``usage.*``. Needs ``pip install 'run-recorder[usage]'``. Default: None, no samples. Example:
            ``usage=1.0``.
        keep_bytes (int): The size in bytes up to which the store keeps files that were not saved explicitly: inputs
            from outside the project, and files that the run wrote without `save`. Of larger files only the digest is
            recorded. Default: 104857600 (100 MiB). Example: ``keep_bytes=10_000_000``.
        reuse (bool): Return the result of an earlier run and restore its files, instead of calling the function, if
            code, config, seed, environment, inputs and process start are the same. Not for generators. Default:
            False. Example: ``reuse=True``.

    Returns:
        The recorded function, or with options a decorator.

    Raises:
        TypeError: if `function` is not a function, `secrets` or `public` name an unknown parameter, `tolerance` is
            not a number or a mapping, or a generator is to be reused.
        ValueError: if a tolerance is negative or not finite, or `usage` is not positive.
    """

    check_interval(usage)  # also if `record(usage=...)` never decorates a function

    def decorate(function: Any) -> Any:
        if isinstance(function, classmethod | staticmethod):
            return type(function)(decorate(function.__func__))
        plain = _take_apart(function)
        if getattr(plain.function, "__code__", None) is None:
            raise TypeError(
                f"@record takes a function, not {type(plain.function).__name__}: put it next to `def`"
            )
        options = check_options(
            plain.function, tags=tags, seed=seed, store=store, strict=strict, tolerance=tolerance,
            secrets=secrets, public=public, usage=usage, keep_bytes=keep_bytes, reuse=reuse,
        )  # fmt: skip
        return _wrap(Experiment(plain.function, name=name, options=options), function, plain)

    return decorate if function is None else decorate(function)


class _Plain(NamedTuple):
    """A function, and the arguments that precede those of a call."""

    function: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


def _take_apart(function: Any) -> _Plain:
    """Return the plain function behind a partial, a bound method, or a function that is recorded already."""
    if isinstance(function, functools.partial):
        inner = _take_apart(function.func)
        kwargs = {**inner.kwargs, **function.keywords}
        return _Plain(inner.function, (*inner.args, *function.args), kwargs)
    if isinstance(function, MethodType):
        inner = _take_apart(function.__func__)
        return _Plain(inner.function, (*inner.args, function.__self__), inner.kwargs)
    experiment = experiment_of(function)
    return _Plain(function if experiment is None else experiment.function)


def _wrap(experiment: Experiment, function: Any, plain: _Plain) -> Any:
    recorded: Any = _make_recorded(experiment, plain)
    functools.update_wrapper(recorded, experiment.function)
    if plain.args or plain.kwargs:
        import inspect

        recorded.__signature__ = inspect.signature(function)
    recorded.__experiment__ = experiment
    recorded.experiment = experiment.name
    recorded.preset = _bind(add_preset, experiment, name="preset")
    recorded.main = _bind(run_main, experiment, name="main")
    return recorded


def _bind(function: Callable[..., Any], experiment: Experiment, *, name: str) -> Callable[..., Any]:
    # A bound method would be pickled as an attribute of the experiment by multiprocessing.
    bound = functools.partial(function, experiment)
    vars(bound).update(__name__=name, __doc__=function.__doc__)
    return bound


def _make_recorded(experiment: Experiment, plain: _Plain) -> Callable[..., Any]:
    """Return a function of the same kind as the experiment's, for `inspect` and for frameworks that use it."""
    first, named = plain.args, plain.kwargs

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return await experiment.call_async((*first, *args), {**named, **kwargs})

    def generator(*args: Any, **kwargs: Any) -> Any:
        return (yield from experiment.iterate((*first, *args), {**named, **kwargs}))

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return experiment.start_async((*first, *args), {**named, **kwargs})

    def function(*args: Any, **kwargs: Any) -> Any:
        return experiment.call((*first, *args), {**named, **kwargs})

    if experiment.is_coroutine:
        return coroutine
    if experiment.is_generator:
        return generator
    return drive_async(start) if experiment.is_async_generator else function


def add_preset(experiment: Experiment, function: F, /) -> F:
    """Register a preset of the experiment under the name of `function`, and return `function`.

    ::

        @train.preset
        def small():
            return {"lr": 0.5, "optimizer.momentum": 0.9}

    ``recorder run train.py:train --preset small`` calls it. It returns values by parameter, or by dotted key for an
    entry of one.
    """
    experiment.presets[function.__name__] = function
    return function


def run_main(experiment: Experiment, args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line of the experiment, and exit the program with the status of the run.

    It has an option for each parameter, and the options of ``recorder run``::

        if __name__ == "__main__":
            train.main()      # python train.py --lr 0.1,0.01 --repeat 5 -j 2

    Args:
        args: The arguments; by default those of the program.
    """
    if is_intercepted():
        raise SystemExit(0)  # the script is being loaded, and has defined everything by now
    from ..cli.running.script import run_script

    run_script(experiment, args)
