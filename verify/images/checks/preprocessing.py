"""The check of how pictures are prepared: transformers' image processor and the library's own code, on the same
ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....converters.formats.dtypes import Array
from ...check import Outcome, scientific
from ...reports.result import CheckResult, DeclaredDifferenceSeen
from ..check import GIVEN, NetworkCheck, NetworkContext
from ..inputs import pictures

EXACT = 1e-5
"""How far numbers of about 1 may be apart where a picture is not resized, or is the same everywhere, so that resizing
leaves it as it is: what is left is rounding in float32."""

RESIZED = 0.02
"""How far the mean over a picture may be where it is resized, of numbers that reach from -1 to 1 or further: the two
libraries resize by other rules, see RESIZING, and anything else that is wrong moves it further."""

RESIZING = DeclaredDifferenceSeen(
    "resizing",
    "PaddleOCR resizes with OpenCV, in whole numbers; transformers with torchvision, where a value may be a grey level "
    "beside it, or more where the processor smooths a picture that becomes smaller: the mean difference of pictures",
)


def _run(context: NetworkContext) -> Outcome:
    pair = context.pair
    if pair.alterations.no_tokenizer:
        return Outcome(reason="the folder was converted without an image processor, as asked for")
    given = pictures(pair.network.task, context.seed)
    paddle = context.exchange(
        context.paddle,
        given,
        {
            "operation": "preprocess",
            "pictures": GIVEN,
            "transforms": [dict(one) for one in pair.found.preparation.transforms],
            **context.of_library(),
        },
    )
    asked = {**context.of_processor(), "operation": "preprocess", "pictures": GIVEN}
    torch = context.exchange(context.torch, given, asked)
    problems: list[str] = []
    details: dict[str, Any] = {}
    means, exact = [0.0], []
    for name, picture in given.items():
        # Where transformers' network takes channels in the other order, so they are prepared for it.
        one, other = paddle[name][:, ::-1] if pair.network.turned else paddle[name], torch[name]
        if one.shape != other.shape:
            problems.append(
                f"{name}: is {list(other.shape)} in transformers, {list(one.shape)} in {pair.network.builder}"
            )
            continue
        apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
        most, mean = float(apart.max()), float(apart.mean())
        resized = not (_is_plain(picture) or _is_kept(picture, one))
        details[name] = {"shape": list(one.shape), "resized": resized, "largest": most, "mean": mean}
        if resized:
            means.append(mean)
        else:
            exact.append(most)
        if (mean > RESIZED) if resized else (most > EXACT):
            problems.append(f"{name}: {'resized, ' if resized else ''}{most:.2e} apart at most, {mean:.2e} in the mean")
    seen = [DeclaredDifferenceSeen(RESIZING.name, RESIZING.text, max(means))]
    worst = max(exact, default=None)
    result = CheckResult(
        name="preprocessing",
        passed=not problems,
        worst=worst,
        limit=EXACT,
        where=problems[0]
        if problems
        else f"{len(given)} pictures: shapes equal, and numbers where resizing changes none; where it does, "
        f"{max(means):.1e} apart in the mean",
        measure="largest difference of prepared pictures that resizing does not change",
        problems=tuple(problems),
        details={"pictures": details},
    )
    return Outcome(result, declared=tuple(seen))


def _is_plain(picture: Array) -> bool:
    """Whether all points of a picture are alike."""
    return bool((picture == picture[0, 0]).all())


def _is_kept(picture: Array, prepared: Array) -> bool:
    """Whether a picture has the height, and no more than the width, that it has when it is prepared."""
    return (
        prepared.shape[2] == picture.shape[0]
        and prepared.shape[3] >= picture.shape[1]
        and (prepared.shape[3] == picture.shape[1] or not prepared[..., picture.shape[1] :].any())
    )


CHECK = NetworkCheck(
    name="preprocessing",
    order=50,
    establishes="pictures are prepared alike: on the same ones, of odd sizes, transformers' image processor with the "
    "folder's settings and the library's own code give the same shapes, and the same numbers where none is resized or "
    "all points are alike; what resizing costs is measured",
    limit=f"{scientific(EXACT)} where resizing changes nothing, else {scientific(RESIZED)} in the mean",
    run=_run,
)
