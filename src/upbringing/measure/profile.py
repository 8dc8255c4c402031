"""The profile of a model: its readings, summed up trait by trait with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from upbringing.errors import InputError
from upbringing.lineage import write_whole
from upbringing.measure import readings as kept
from upbringing.measure import statistics
from upbringing.measure.readings import LOGPROB, REFUSAL, REST, SAMPLED, SKILL, UNPLACED, Reading
from upbringing.measure.shift import Shift
from upbringing.measure.statistics import Estimate, Range, known
from upbringing.measure.tables import ValueTable, cells_of

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.measure.judging.error import JudgeError, Key

READINGS, SUMMARY, PAGE = "readings.parquet", "summary.json", "provoked.html"
FILES = (READINGS, SUMMARY, PAGE)  # what a run of measuring leaves in its folder
_ONE_READING = ["arm", "base", "trait", "family", "probe", "provocation", "way", "sample"]


class Profile(ValueTable):
    """Readings of one model, or of many (arms and bases) put together with :meth:`concat`.

    >>> profile = measure(model)                                             # doctest: +SKIP
    >>> profile.table()                                # rate of every trait, by log-probability, at rest
    >>> profile.table(way="sampled", provocation="prefill")
    >>> profile - before                               # a Shift, paired reading by reading
    """

    label: ClassVar[str] = "rate"
    within: ClassVar[Range] = statistics.RATE

    def __init__(self, readings: pd.DataFrame) -> None:
        super().__init__(kept.completed(readings))

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> Profile:
        """From single readings.

        Raises:
            InputError: the same reading is there twice; averaged, it would count for more than one.
        """
        found = cls(kept.frame(readings))
        twice = found.readings.duplicated(_ONE_READING)
        if twice.any():
            first = found.readings[twice].iloc[0]
            raise InputError(
                f"two readings of {first['probe']} ({first['way']}, sample {first['sample']}, under "
                f"{first['provocation']}); give those of one run"
            )
        return found

    @property
    def readings(self) -> pd.DataFrame:
        """All readings, missing ones included (see :class:`Reading` for the columns)."""
        return self._frame

    @property
    def models(self) -> list[str]:
        return self._names("model")

    @property
    def arms(self) -> list[str]:
        return self._names("arm")

    def arm(self, name: str) -> Profile:
        """The readings of one arm.

        Raises:
            InputError: there is no such arm.
        """
        if name not in self.arms:
            raise InputError(f'no arm "{name}" in this profile; its arms: {", ".join(self.arms)}')
        return Profile(self._frame[self._frame["arm"] == name])

    def base(self, name: str) -> Profile:
        """The readings of one base.

        Raises:
            InputError: there is no such base.
        """
        if name not in self.bases:
            raise InputError(f'no base "{name}" in this profile; its bases: {", ".join(self.bases)}')
        return Profile(self._frame[self._frame["base"] == name])

    @classmethod
    def concat(cls, profiles: Iterable[Profile]) -> Profile:
        """Several bases and arms in one profile.

        Raises:
            InputError: the same reading is there twice (the models were measured without names to tell them apart).
        """
        import pandas as pd

        joined = pd.concat([profile.readings for profile in profiles], ignore_index=True)
        twice = joined.duplicated(_ONE_READING)
        if twice.any():
            first = joined[twice].iloc[0]
            raise InputError(
                f'two profiles have readings of base "{first["base"]}", arm "{first["arm"]}"; '
                "tell them apart with measure(..., base=, arm=)"
            )
        return cls(joined)

    def __sub__(self, other: Profile) -> Shift:
        """What changed from ``other`` to this profile, paired by base, probe, provocation and sample."""
        if not isinstance(other, Profile):
            return NotImplemented
        return Shift.between(self._of_one_arm().readings, other._of_one_arm().readings)

    @property
    def coherence(self) -> Estimate:
        """Share of sampled answers, at rest, that the judge could place (showing, avoiding or refusing)."""
        return self.coherence_under(REST)

    @property
    def refusal(self) -> Estimate:
        """Share of sampled answers, at rest, that refuse."""
        return self.refusal_under(REST)

    @property
    def cut(self) -> int:
        """Sampled answers, under any provocation, that ran into a limit. They are judged as far as they go."""
        return int((self._frame["cut"] != "").sum())

    @property
    def nothing_said(self) -> bool:
        """Whether no sampled answer was kept, judged or not."""
        return not bool((self._frame["answer"] != "").any())

    def coherence_under(self, provocation: str) -> Estimate:
        """``coherence`` under a provocation."""
        return self._share_of_answers(provocation, lambda reason: ~reason.isin(UNPLACED))

    def refusal_under(self, provocation: str) -> Estimate:
        """``refusal`` under a provocation."""
        return self._share_of_answers(provocation, lambda reason: reason == REFUSAL)

    @property
    def skill(self) -> Estimate:
        """Share of harmless questions whose right answer is the likeliest of those offered."""
        asked = self._frame[self._frame["way"] == SKILL]
        return statistics.mean(cells_of(asked))

    @property
    def judged(self) -> list[Key]:
        """Who judged what at rest: (judge, rubric, trait, language) of every sampled answer that got a value."""
        frame = self._frame
        placed = (frame["way"] == SAMPLED) & (frame["provocation"] == REST) & frame["value"].notna()
        found = frame.loc[placed, ["judge", "rubric", "trait", "language"]].drop_duplicates()
        return [(str(j), str(r), str(t), str(said)) for j, r, t, said in found.itertuples(index=False)]

    def corrected(self, trait: str, errors: Mapping[Key, JudgeError]) -> Estimate | None:
        """The sampled rate of a trait at rest, corrected for the error of its judge (Rogan and Gladen 1978), with that
        error in the interval. None where the error is not known, or where several judges judged."""
        from upbringing.measure.correcting import corrected

        ours = [key for key in self.judged if key[2] == trait]
        if len(ours) != 1 or ours[0] not in errors:
            return None
        error = errors[ours[0]]
        return corrected(self.mean(trait, SAMPLED), error.sensitivity, error.specificity)

    def _share_of_answers(self, provocation: str, counted: Any) -> Estimate:
        frame = self._frame
        answered = (frame["missing"] == "") | frame["missing"].isin([REFUSAL, *UNPLACED])
        asked = frame[(frame["way"] == SAMPLED) & (frame["provocation"] == provocation)]
        judged = asked[answered[asked.index]]
        shares = judged.assign(value=counted(judged["missing"]).astype(float))
        cells = cells_of(shares)
        return statistics.mean(statistics.Cells(cells.values, cells.bases, cells.probes, len(asked) - len(judged)))

    def table(self, way: str = LOGPROB, provocation: str = REST, *, confidence: float = 0.95) -> pd.DataFrame:
        return super(Profile, self._of_one_arm()).table(way, provocation, confidence=confidence)

    def _chosen(self, traits: str | Sequence[str] | None, way: str, provocation: str) -> pd.DataFrame:
        return super(Profile, self._of_one_arm())._chosen(traits, way, provocation)

    def _of_one_arm(self) -> Profile:
        if len(self.arms) > 1:
            raise InputError(f"the profile holds several arms ({', '.join(self.arms)}); choose one with .arm(name)")
        return self

    def summary(self, errors: Mapping[Key, JudgeError] | None = None) -> dict[str, Any]:
        """For JSON: every trait at rest, both ways; what is not known is None.

        ``errors``: of judges, as ``judging.known_errors`` finds them. Where that of a trait's judge is known, the
        sampled rate stands there a second time, corrected for it.
        """
        by_way = {
            way: self.table(way).set_index("trait").to_dict("index") if way in self.ways else {}
            for way in (LOGPROB, SAMPLED)
        }
        nothing = {"rate": float("nan"), "lo": float("nan"), "hi": float("nan"), "probes": 0, "missing": 0}
        traits: dict[str, dict[str, Any]] = {}
        for trait in self.traits:
            scored, sampled = (by_way[way].get(trait, nothing) for way in (LOGPROB, SAMPLED))
            traits[trait] = {
                "rate": known(scored["rate"]),
                "interval": [known(scored["lo"]), known(scored["hi"])],
                "sampled_rate": known(sampled["rate"]),
                "sampled_interval": [known(sampled["lo"]), known(sampled["hi"])],
                "probes": int(max(scored["probes"], sampled["probes"])),
                "missing": int(scored["missing"] + sampled["missing"]),
            }
            if errors and (right := self.corrected(trait, errors)) is not None:
                traits[trait] |= {
                    "sampled_corrected": known(right.value),
                    "sampled_corrected_interval": [known(right.lo), known(right.hi)],
                    "judge_note": right.note,
                }
        return {
            "model": ", ".join(self.models),
            "traits": traits,
            "coherence": known(self.coherence.value),
            "refusal": known(self.refusal.value),
            "skill": known(self.skill.value),
            "cut": self.cut,
            "bases": len(self.bases),
        }

    def save(
        self,
        folder: str | Path,
        errors: Mapping[Key, JudgeError] | None = None,
        *,
        sources: Mapping[str, str] | None = None,
    ) -> Path:
        """Keep the readings (``readings.parquet``) and the summary (``summary.json``, one entry an arm where there are
        several; ``errors``: see :meth:`summary`) in a folder, each file whole or not at all. Those of an earlier
        profile are replaced, and the page of what provoked it goes. ``sources``: where traits were read from that are
        not known by name, for :func:`sources_in`.

        Raises:
            InputError: the folder holds files of these names that no profile has written, or cannot be written.
        """
        folder = Path(folder)
        _check_ours(folder)
        arms = self.arms if len(self.arms) > 1 else []
        of_arms = {name: self.arm(name).summary(errors) for name in arms}
        summary = of_arms or self.summary(errors)
        for one in [*of_arms.values()] or [summary]:
            for trait in {*one["traits"]} & {*(sources or {})}:
                one["traits"][trait]["source"] = (sources or {})[trait]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / READINGS).exists():
                (folder / PAGE).unlink(missing_ok=True)
            kept.write(self.readings, folder / READINGS)
            write_whole(folder / SUMMARY, json.dumps(summary, indent=1) + "\n")
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror or error}); choose another folder"
            ) from error
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Profile:
        """Read a folder that ``save`` wrote.

        Raises:
            InputError: the folder holds no readings.
        """
        return cls(kept.read(Path(folder) / READINGS))

    def __repr__(self) -> str:
        return (
            f"Profile({', '.join(self.models)}: {len(self.traits)} traits, {len(self.bases)} bases, "
            f"{len(self.arms)} arms, {len(self._frame)} readings)"
        )


def models_in(folder: Path) -> list[str]:
    """The models of the profile that lies in a folder; none where no profile is there."""
    file = folder / READINGS
    return Profile(kept.read(file)).models if kept.are_there(file) else []


def sources_in(folder: Path) -> dict[str, str]:
    """The folders and files of the traits of the profile that lies in a folder, as it was told when it was saved."""
    if not _is_summary(folder / SUMMARY):
        return {}
    told = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    arms = [told] if "traits" in told else told.values()
    return {name: str(one["source"]) for arm in arms for name, one in arm["traits"].items() if "source" in one}


def _check_ours(folder: Path) -> None:
    """Raise where a file that is about to be replaced is not a profile's."""
    for name, ours in ((READINGS, kept.are_there), (SUMMARY, _is_summary)):
        if (folder / name).exists() and not ours(folder / name):
            raise InputError(f"{folder / name}: is there already, and no profile has written it; choose another folder")


def _is_summary(file: Path) -> bool:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(told, dict):
        return False
    arms = [told] if "traits" in told else list(told.values())
    return bool(arms) and all(isinstance(one, dict) and {"model", "traits"} <= {*one} for one in arms)
