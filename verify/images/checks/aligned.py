"""The check that the mapping is right: torch's network with Paddle's constants computes what Paddle's does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....converters.formats.dtypes import Array
from ....mappings.language.images.network import Network
from ...check import Outcome, scientific
from ...reports.result import CheckResult
from ..check import NetworkCheck, NetworkContext, distances, largest

LIMIT = 1e-12
"""Of the largest value. Correct conversions are at 2e-15 to 4e-13; the smallest constant that is left out, or the
smallest mistake, costs 1e-10."""


def _run(context: NetworkContext) -> Outcome:
    pair = context.pair
    paddle = context.paddle_run("float64")
    torch = context.torch_run("float64", pair.constants)
    answer, problems = context.answers["torch"], []
    if answer["class"] != pair.network.target:
        problems.append(f"transformers loads {answer['class']}, {pair.network.target} is expected")
    if idle := context.answers["torch run"]["idle"]:
        problems.append(f"nothing in torch's network has the constant {', '.join(idle)}")
    problems += context.answers["torch run"]["unlike"]
    problems += [f"{name} is an output of one side alone" for name in sorted(paddle.keys() ^ torch.keys())]
    shares = distances(paddle, torch)
    for name, array in paddle.items():
        if not largest(array) or float(np.ptp(array)) == 0.0:
            problems.append(f"{name}: Paddle's network gives the same number everywhere, which proves nothing")
    if not problems and all(share <= LIMIT for share in shares.values()) and _ends_at_once(pair.network, paddle):
        return Outcome(
            accident=f"{pair.source.path}: the network ends every picture's table after its first step, so that "
            "nothing of what it remembers from step to step could be compared; try another --seed"
        )
    worst = max(shares, key=lambda name: shares[name], default=None)
    problems += [f"{name}: {share:.2e} of the largest value apart" for name, share in shares.items() if share > LIMIT]
    result = CheckResult(
        name="aligned",
        passed=not problems and worst is not None,
        worst=shares[worst] if worst is not None else None,
        limit=LIMIT,
        where=problems[0] if problems else f"picture {worst}, {len(pair.constants)} constants as Paddle has them",
        measure="largest difference in float64, as a share of the largest value, of probabilities as they are",
        problems=tuple(problems),
        details={"shares": shares, "constants": [one.name for one in pair.constants]},
    )
    return Outcome(result)


def _ends_at_once(network: Network, outputs: Mapping[str, Array]) -> bool:
    """Whether a head that writes by steps, [pictures, steps, classes], is through after one, whatever it is given."""
    written = [array for name, array in outputs.items() if not name.endswith(".logits")]
    return network.task == "table" and all(array.shape[1] < 2 for array in written)


CHECK = NetworkCheck(
    name="aligned",
    order=30,
    establishes="the mapping is right: in float64, with the constants of Paddle's network put into transformers', both "
    "compute the same for pictures of odd sizes, before and behind the last function",
    limit=f"{scientific(LIMIT)} of the largest value, of probabilities as they are",
    run=_run,
)
