"""The check of the embeddings: every row of the three tables goes through both frameworks, in float64.

The forward runs touch a few rows of each table only; this makes up for it, and says how much each of the two touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...mappings.language.family import Family
from ..check import DTYPES, Check, Context, Needs, Outcome, scientific
from ..inputs import Inputs
from ..reports.result import CheckResult
from ..runners.forward import Run
from ..runners.outputs import DECODER, stack_of
from ..states import StateDifference, nan_last, token_difference

LIMIT = 1e-12
"""Times the token's largest value; correct conversions stay below 1e-14."""

TABLES = {"vocabulary": "vocab_size", "positions": "max_position_embeddings", "token types": "type_vocab_size"}
"""The tables, and the configuration fields with their numbers of rows."""

ARGUMENTS = {"vocabulary": "input_ids", "positions": "position_ids", "token types": "token_type_ids"}
"""The arguments that choose rows of the tables."""


SHORT = 64
"""Tokens of a row where no table of positions says how many."""

ROLES = {"vocabulary": "words", "positions": "positions", "token types": "token_types"}
"""The roles of the tables in a family."""


@dataclass(frozen=True)
class Blocks(Mapping[str, Array]):
    """What a runner made of blocks of ids, by their names; each is read from `folder` when it is asked for. `flat`
    shows those of many rows as those of one long row; no table of positions is longer than a block."""

    folder: Path
    names: tuple[str, ...]
    flat: bool

    def of_stack(self, stack: str) -> Blocks:
        """Those of a stack of layers, by what stands before their names."""
        return replace(self, names=tuple(name for name in self.names if stack_of(name) == stack))

    def __getitem__(self, name: str) -> Array:
        array: Array = np.load(self.folder / f"{name}.npy")
        return array.reshape(1, -1, array.shape[-1]) if self.flat else array

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def run_embeddings(context: Context) -> CheckResult:
    """Put all rows through both frameworks' embeddings and compare. Raises RunnerAnswerError when one cannot."""
    pair, session = context.pair, context.models
    family = pair.recognised.family
    sizes = {**pair.configuration, TABLES["positions"]: table_of_positions(family, pair.configuration)}
    decodes = family.decodes(session.plan.architecture)
    # Positions that cannot be chosen are those in a row: then there are as many rows as the table is too short for.
    counted = "position_ids" not in family.arguments and "positions" in family.roles
    # Without a table rows may be of any length, and a decoder's mask grows with its square.
    lengths = {TABLES["positions"]: SHORT} if decodes and not counted else {}
    rows = all_rows({**sizes, **lengths}, pair.padding, family.first_position)
    rows = _whole_tables(rows) if counted or lengths else rows
    asked = _folded(rows) if counted or lengths else rows
    # A decoder reads the same table of words and has its own of positions, as long as the other.
    behind = _decoder_rows(asked) if decodes and counted else asked
    given = replace(asked, decoder_input_ids=behind.input_ids) if decodes else asked
    inputs = session.save_inputs("embeddings inputs", given)

    def ask(side: Callable[..., Run], path: str, name: str) -> Blocks:
        (folder := session.scratch / name).mkdir()
        answer = side("float64", "embeddings", inputs=path, outputs=str(folder)).answer
        return Blocks(folder, tuple(answer["outputs"]), asked is not rows)

    paddle = context.once("embeddings", lambda: ask(session.paddle, inputs["paddle"], "paddle embeddings"))
    torch = ask(session.torch, inputs["torch"], "torch embeddings")
    held = {name for move in session.plan.moves for name in move.sources}
    tables = [table for table in TABLES if _can_be_chosen(family, table, held, counted)]
    own, other = paddle.of_stack(""), torch.of_stack("")
    result = check_embeddings(sizes, context.inputs, rows, own, other, pair.padding, tables)
    if not decodes:
        return result
    own, other = paddle.of_stack(DECODER), torch.of_stack(DECODER)
    decoder = check_embeddings(sizes, context.inputs, _in_one(behind), own, other, None, tables)
    return _with_decoder(result, decoder)


def _can_be_chosen(family: Family, table: str, held: Collection[str], counted: bool) -> bool:
    """Whether there is such a table among the tensors `held`, and a way to choose a row of it: by an argument, or for
    positions that are `counted` by the place in a row."""
    module = family.roles.get(ROLES[table])
    typeless = module is None and table == "token types"
    if typeless or (module is not None and not any(name.endswith(f"{module}.weight") for name in held)):
        return False
    return ARGUMENTS[table] in family.arguments or (counted and table == "positions")


def table_of_positions(family: Family, configuration: Mapping[str, Any]) -> int:
    """The rows of a model's table of positions; 0 where it has none."""
    return int(configuration.get(TABLES["positions"], 0)) + family.more_positions


def all_rows(configuration: Mapping[str, Any], padding: int | None, first_position: int = 0) -> Inputs:
    """One long row of ids that holds each row of each table at least once, as inputs of shape [1, tokens], all of
    them attended. The id `padding` is left out, and so are the rows before `first_position`.
    """
    vocabulary, positions, types = (int(configuration.get(field, 0)) for field in TABLES.values())
    allowed = np.array([token for token in range(vocabulary) if token != padding], dtype=np.int64)
    # Without token types, PaddleNLP looks at none of these ids; before the first position, it reads none.
    types, positions = max(1, types), max(1, positions - first_position)
    steps = np.arange(max(len(allowed), positions, types), dtype=np.int64)[None]
    return Inputs(
        input_ids=allowed[steps % len(allowed)],
        attention_mask=np.ones_like(steps),
        token_type_ids=steps % types,
        position_ids=steps % positions,
    )


def _whole_tables(rows: Inputs) -> Inputs:
    """One long row, as long as several times the table of positions."""
    table = int(rows.position_ids.max()) + 1
    more = -rows.input_ids.shape[1] % table
    arrays = {name: np.pad(array, ((0, 0), (0, more)), "wrap") for name, array in rows.arrays().items()}
    return Inputs(**{**arrays, "position_ids": np.arange(rows.input_ids.shape[1] + more)[None] % table})


def _folded(rows: Inputs) -> Inputs:
    """Such a row as many rows, in each of which the positions count from 0 to the last."""
    table = int(rows.position_ids.max()) + 1
    return Inputs(**{name: array.reshape(-1, table) for name, array in rows.arrays().items()})


def _decoder_rows(rows: Inputs) -> Inputs:
    """The first of many rows, and once more with every id at the next position, so that what differs is told from ids
    and positions."""
    arrays = {name: np.concatenate([array[:1], array[:1]]) for name, array in rows.arrays().items()}
    arrays["input_ids"][1] = np.roll(arrays["input_ids"][1], 1)
    return Inputs(**arrays)


def _in_one(rows: Inputs) -> Inputs:
    """Rows one after the other."""
    return Inputs(**{name: array.reshape(1, -1) for name, array in rows.arrays().items()})


def _with_decoder(encoder: CheckResult, decoder: CheckResult) -> CheckResult:
    """The result for both: that of the worse one, with the problems of either."""
    worse = decoder if nan_last(decoder.worst or 0.0) > nan_last(encoder.worst or 0.0) else encoder
    shown = decoder if encoder.passed and not decoder.passed else encoder if not encoder.passed else worse
    return replace(
        shown,
        passed=encoder.passed and decoder.passed,
        where=f"decoder's {shown.where}" if shown is decoder else shown.where,
        problems=(*encoder.problems, *(f"decoder's {problem}" for problem in decoder.problems)),
        details=encoder.details,
    )


def check_embeddings(
    configuration: Mapping[str, Any],
    forward: Inputs,
    rows: Inputs,
    paddle: Mapping[str, Array],
    torch: Mapping[str, Array],
    padding: int | None,
    tables: Sequence[str] = tuple(TABLES),
) -> CheckResult:
    """Compare what the embeddings make of `rows`, given in blocks of tokens, and count rows of the `tables` that there
    are, also for `forward`."""
    problems: list[str] = []
    worst: StateDifference | None = None
    place = "nothing"
    differing: list[Array] = []
    start = 0
    if sorted(paddle) != sorted(torch) or not paddle:
        problems.append(f"Paddle gave {len(paddle)} blocks of embeddings, torch {len(torch)}")
    for name in sorted(paddle.keys() & torch.keys()):
        ours, theirs = paddle[name], torch[name]
        if ours.shape != theirs.shape:
            problems.append(f"embeddings have shape {list(ours.shape)} in Paddle and {list(theirs.shape)} in torch")
            break
        mask = rows.attention_mask[:, start : start + ours.shape[1]]
        found = token_difference("hidden_state.00", ours, theirs, mask, LIMIT)
        if worst is None or nan_last(found.share_of_limit) > nan_last(worst.share_of_limit):
            worst, place = found, token_text(rows, start + found.place[1], tables)
        if not found.holds:
            differing.append(start + _differing_tokens(ours, theirs))
        start += ours.shape[1]
    if differing and worst is not None:
        place = _rows_text(rows, np.concatenate(differing), tables)
        problems.append(f"{place}: relative difference {worst.relative:.2e}, limit {worst.relative_limit:.2e}")
    elif not problems and start != rows.input_ids.shape[1]:
        problems.append(f"{start} of {rows.input_ids.shape[1]} tokens were compared")
    return CheckResult(
        name="embeddings",
        passed=not problems,
        worst=worst.relative if worst is not None else None,
        limit=LIMIT,
        where=problems[0] if problems and not differing else place,
        measure="largest difference of a token's embedding over its largest value",
        problems=tuple(problems),
        details={
            "coverage": {
                table: {
                    "rows": int(configuration.get(field, 0)),
                    "forward": _touched(forward, table),
                    "check": _touched(rows, table),
                }
                for table, field in TABLES.items()
                if table in tables
            },
            # The declared difference of the padding row; its bits are compared by the check of the weights.
            "excluded_vocabulary_ids": [] if padding is None else [padding],
        },
    )


def token_text(rows: Inputs, token: int, tables: Sequence[str]) -> str:
    """The rows of the tables that one token is made of."""
    named = {table: int(ids[0, token]) for table, ids in _ids(rows).items() if table in tables}
    return ", ".join(f"{table} row {row}" for table, row in named.items())


def _differing_tokens(paddle: Array, torch: Array) -> Array:
    with np.errstate(invalid="ignore"):
        holds = np.abs(paddle - torch).max(axis=-1) <= LIMIT * np.abs(paddle).max(axis=-1)
    tokens: Array = np.nonzero(~holds[0])[0]
    return tokens


def _rows_text(rows: Inputs, tokens: Array, tables: Sequence[str]) -> str:
    """The rows that explain which tokens differ: of the table in which fewest do, if it has rows that do not."""
    if len(tokens) == rows.input_ids.shape[1]:
        return "every token"
    ids = {table: of_table for table, of_table in _ids(rows).items() if table in tables}
    table = min(ids, key=lambda name: len(np.unique(ids[name][0, tokens])))
    found = np.unique(ids[table][0, tokens])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"{table} row {', '.join(str(int(row)) for row in found[:5])}{more}"


def _ids(inputs: Inputs) -> dict[str, Array]:
    return dict(zip(TABLES, (inputs.input_ids, inputs.position_ids, inputs.token_type_ids), strict=True))


def _touched(inputs: Inputs, table: str) -> int:
    """How many rows of a table the attended tokens touch."""
    return len(np.unique(_ids(inputs)[table][inputs.attention_mask == 1]))


def _run(context: Context) -> Outcome:
    return Outcome(run_embeddings(context))


CHECK = Check(
    name="embeddings",
    order=50,
    establishes="the whole vocabulary, all positions and all token types give the same embeddings",
    limit=f"{scientific(LIMIT)} of the token's largest value",
    needs=Needs(dtypes=DTYPES, models=True),
    look_at="the check weights for the embedding tables, and the rows named here: `paddle2torch verify {source} "
    "{converted} --check weights,embeddings`",
    run=_run,
)
