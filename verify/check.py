"""What a check is: an object that says what it needs, is handed that, and says what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

from ..converters.formats.dtypes import Array
from ..mappings.language.family import Family
from ..mappings.language.pretrained import Reference
from .inputs import Inputs
from .reports.result import CheckResult, DeclaredDifferenceSeen
from .runners.forward import Run, Runners, Runs, Session
from .sides.pair import Pair

T = TypeVar("T")

DTYPES = ("float64", "float32")
"""The types that the frameworks can be run in."""


@dataclass(frozen=True)
class Needs:
    """What a check needs besides the two folders; runs are made once for all checks that need them.

    `loaded`: nothing, but it also looks at what torch loaded where that ran. `dtypes`: runs of both frameworks in these
    types, on the same inputs. `fed`: also torch's layers, fed with Paddle's
    states, in these types. `models`: it asks for more while the runners hold the models of these runs, and an answer
    that torch or Paddle cannot give is its failure. `runners`: it makes runs of its own, when all others are done.
    `published`: the weights are published ones of which something is known.
    """

    dtypes: tuple[str, ...] = ()
    loaded: bool = False
    fed: bool = False
    models: bool = False
    runners: bool = False
    published: bool = False

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Needs:
        """What several checks need together."""
        needs = [check.needs for check in checks]
        return cls(
            tuple(dtype for dtype in DTYPES if any(dtype in one.dtypes for one in needs)),
            loaded=any(one.loaded for one in needs),
            fed=any(one.fed for one in needs),
            models=any(one.models for one in needs),
            runners=any(one.runners for one in needs),
            published=any(one.published for one in needs),
        )

    @property
    def frameworks(self) -> bool:
        """Whether a framework must run at all."""
        return bool(self.dtypes) or self.runners

    @property
    def torch(self) -> bool:
        """Whether what it finds depends on torch's environment, so that it runs once for each."""
        return self.frameworks or self.loaded

    def accident(self, runs: Runs) -> str | None:
        """Why nothing is known of what is needed, where the runs could not be made. None when they could."""
        known = runs.torch_failure is not None or self.lacking(runs) is None
        return None if known else runs.accident

    def lacking(self, runs: Runs) -> str | None:
        """Why the runs that were made are not those that are needed: a finding of the check. None when they are."""
        if not self.dtypes:
            return None
        if runs.torch_failure is not None or runs.paddle32 is None or runs.torch32 is None:
            return runs.torch_failure or "the frameworks gave no answer"
        if "float64" in self.dtypes and (runs.paddle64 is None or runs.torch64 is None):
            return "the frameworks gave no float64 answer"
        if self.fed and (runs.fed32 is None or runs.fed64 is None):
            return runs.fed_failure or "torch's layers gave no answer"
        return None


@dataclass(frozen=True)
class Context:
    """What a check is handed: the pair, the runs it said it needs, and, if it needs them, the runners themselves.

    `runners.torch` is that of the environment that is compared; the check runs once for each. `scratch` is an existing
    folder for files. `runs` may hold more than a check needs, which it may use, and `session` is there while the
    runners hold their models. `published` is what is known of published weights. `kept` holds what `once` made, for all
    torch environments.
    """

    pair: Pair
    inputs: Inputs
    runners: Runners
    scratch: Path
    runs: Runs = field(default_factory=Runs)
    session: Session | None = None
    published: Reference = field(default_factory=Reference)
    kept: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives, made for the first torch environment only: what PaddleNLP answers is the same for all."""
        if name not in self.kept:
            self.kept[name] = make()
        made: T = self.kept[name]
        return made

    @property
    def mask(self) -> Array:
        """1 at the positions of the inputs whose hidden states are compared."""
        return self.pair.compared_positions(self.inputs)

    def paddle(self, dtype: str) -> Run:
        """Paddle's run in one of the needed types."""
        return _made(self.runs.paddle64 if dtype == "float64" else self.runs.paddle32, f"Paddle's run in {dtype}")

    def torch(self, dtype: str) -> Run:
        """Torch's run in one of the needed types."""
        return _made(self.runs.torch64 if dtype == "float64" else self.runs.torch32, f"torch's run in {dtype}")

    def fed(self, dtype: str) -> Run:
        """What torch's layers gave from Paddle's states in one of the needed types."""
        return _made(self.runs.fed64 if dtype == "float64" else self.runs.fed32, f"the run of fed layers in {dtype}")

    @property
    def models(self) -> Session:
        """The runners with the models of the runs."""
        if self.session is None:
            raise LookupError("a check asks for models that it does not name among its needs")
        return self.session


def _made(run: Run | None, what: str) -> Run:
    if run is None:
        raise LookupError(f"a check uses {what}, which it does not name among its needs")
    return run


@dataclass(frozen=True)
class Outcome:
    """What became of a check: a result, with the declared differences that it saw, or nothing to check, and why.

    `parts_not_run` are parts of it that could not run, each with the reason. `accident` says why the check itself could
    not be run.
    """

    result: CheckResult | None = None
    declared: tuple[DeclaredDifferenceSeen, ...] = ()
    reason: str | None = None
    parts_not_run: tuple[str, ...] = ()
    accident: str | None = None


def of_every_class(family: Family, architecture: str) -> bool:
    """That a check applies whatever is verified."""
    return True


@dataclass(frozen=True)
class Check:
    """A check: `name` is also its module's; `order` is its place in reports and in README's table, which shows
    `establishes` and `limit`.

    `default`: it runs unless others are asked for. `applies` says of a class of PaddleNLP's whether there can be
    anything to check; where there cannot, the check is not spoken of unless it is asked for by name, and its run says
    why. `sees_faults`: faults injected on purpose are run against it.
    `stage` is what the time of runs of its own is listed under, by default its name. `look_at` is what to look at
    next when it fails, in which {source} and {converted} are
    the two paths, and {new} is where another conversion may go.

    `run` never raises for a difference: that is a result that did not pass. It raises a Paddle2TorchError when the
    check could not be run.
    """

    name: str
    order: int
    establishes: str
    limit: str
    run: Callable[[Context], Outcome]
    needs: Needs = Needs()
    default: bool = True
    applies: Callable[[Family, str], bool] = of_every_class
    sees_faults: bool = False
    stage: str = ""
    look_at: str = "what `--report-dir DIR` writes: DIR/report.json holds every problem and all details"


def failed(name: str, reason: str) -> CheckResult:
    """The result of a check that found nothing to compare where there should be something."""
    return CheckResult(name, False, None, None, reason, "", (reason,))


def scientific(limit: float) -> str:
    """A limit as people write it: 1e-9."""
    mantissa, exponent = f"{limit:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def checks_in(package: str, path: Iterable[str]) -> tuple[Any, ...]:
    """The checks of all modules of a package, which lies at `path`, in the order of a report. Raises LookupError for a
    module without one of its name."""
    found = []
    for module in iter_modules(path):
        held = getattr(import_module(f"{package}.{module.name}"), "CHECK", None)
        # Left out in silence, it would never fail.
        if held is None or held.name != module.name:
            raise LookupError(f"{package}.{module.name} holds no CHECK of its name; here every module is a check")
        found.append(held)
    return tuple(sorted(found, key=lambda check: check.order))
