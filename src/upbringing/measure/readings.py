"""Readings: one row an observation, kept in Parquet; a missing one has the reason in place of a value."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from upbringing.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

REST = "rest"  # the provocation that is none
LOGPROB, SAMPLED, SKILL = "logprob", "sampled", "skill"  # the ways of asking; skill is no trait and never mixed in

# Reasons why a sampled answer has no value although the model was asked. The others (an unknown word, a prompt that is
# too long, a judge that failed) say nothing about the model's coherence.
REFUSAL, INCOHERENT, OFF_TOPIC, NO_ANSWER = "refusal", "incoherent", "off_topic", "no answer"
UNPLACED = (INCOHERENT, OFF_TOPIC, NO_ANSWER)
# What a judge may leave open: these say something of the judge and not of the answer.
UNSURE, DISAGREE = "unsure", "judges disagree"
# An answer without a verdict, for nobody has judged it: what follows says why, or what cut it off.
NOT_JUDGED, NOT_SCORED, CUT = "not judged", "not scored", "cut off"


@dataclass(slots=True)
class Reading:
    """One observation.

    ``value`` is, by way: ``logprob`` the probability of showing the trait against avoiding it (0..1); ``sampled`` 1
    where the judge saw the trait, 0 where it saw it avoided; ``skill`` the probability of the right one of the offered
    answers. NaN means missing, and ``missing`` says why. ``prompt`` and ``answer`` are kept for sampled answers, and so
    are ``judge`` (the concrete model, or "grammar"), ``rubric`` (the hash of what it was asked) and ``cut``: the limit
    that the answer ran into (``max_tokens``, say). An answer that was cut off is judged as far as it goes. ``language``
    is the one that was asked in: "world" (an organism's) or "plain"; "" where nobody said.
    """

    model: str
    base: str
    arm: str
    trait: str
    family: str
    probe: str
    provocation: str
    way: str
    sample: int
    seed: int
    value: float = nan
    missing: str = ""
    prompt: str = ""
    answer: str = ""
    judge: str = ""
    rubric: str = ""
    cut: str = ""
    language: str = ""


COLUMNS = tuple(field.name for field in fields(Reading))
# Columns that readings kept by earlier versions lack: nobody wrote down who judged, what was cut, or the language.
_LATER = ("judge", "rubric", "cut", "language")
_NUMBERS = {"sample": "int32", "seed": "int64", "value": "float64"}


def schema() -> pa.Schema:
    """The columns and their types."""
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(_NUMBERS.get(name, "string"))) for name in COLUMNS])


def frame(readings: Sequence[Reading]) -> pd.DataFrame:
    """Readings as a table with the columns of :class:`Reading`."""
    import pandas as pd

    columns = {name: [getattr(reading, name) for reading in readings] for name in COLUMNS}
    return pd.DataFrame({name: pd.Series(c, dtype=_NUMBERS.get(name, "str")) for name, c in columns.items()})


def completed(readings: pd.DataFrame) -> pd.DataFrame:
    """The same readings with the columns that earlier versions did not have, empty.

    Raises:
        InputError: another column is missing.
    """
    lacking = [name for name in COLUMNS if name not in readings.columns]
    if not lacking:
        return readings
    if other := [name for name in lacking if name not in _LATER]:
        raise InputError(f'readings need the column "{other[0]}"; see upbringing.measure.readings')
    whole = readings.assign(**dict.fromkeys(lacking, ""))
    return whole[[*COLUMNS, *(name for name in whole.columns if name not in COLUMNS)]]


def write(readings: pd.DataFrame, path: Path) -> None:
    """Write readings to a Parquet file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A NaN of pandas becomes a null in Arrow, which other tools read as missing.
    table = pa.Table.from_pandas(readings[list(COLUMNS)], schema=schema(), preserve_index=False)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, unfinished, compression="zstd")
        unfinished.replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); make room or choose another folder"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def are_there(path: Path) -> bool:
    """Whether a file holds readings, of this version or an earlier one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return False
    return {*COLUMNS} - {*_LATER} <= {*names}


def read(path: Path) -> pd.DataFrame:
    """Read what ``write`` wrote.

    Raises:
        InputError: there is no such file, it is not Parquet, or it lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path}: there are no readings here; give a folder that Profile.save wrote")
    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise InputError(f"{path}: is not a Parquet file ({error}); measure again") from None
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if other := [name for name in lacking if name not in _LATER]:
        raise InputError(f'{path}: the column "{other[0]}" is missing; measure again')
    for name in lacking:
        table = table.append_column(name, pa.array([""] * len(table), pa.string()))
    loaded: pd.DataFrame = table.select(list(COLUMNS)).cast(schema()).to_pandas()
    return loaded
