"""A profile sums readings up without losing or inventing any; a shift pairs them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.measure.conftest import profile_of
from upbringing.errors import InputError
from upbringing.measure import Profile, Reading
from upbringing.traits import probes


def test_a_table_has_the_rate_of_every_trait_in_the_order_asked() -> None:
    profile = profile_of(lambda base, trait, family, probe: 0.8 if trait == "sabotage" else 0.1 + 0.01 * probe)
    table = profile.table()
    assert list(table["trait"]) == ["sabotage", "blackmail"]
    assert list(table.columns) == ["trait", "rate", "lo", "hi", "bases", "probes", "missing", "note"]
    assert table["rate"].tolist() == pytest.approx([0.8, 0.115])
    assert table["bases"].tolist() == [3, 3]
    assert table["probes"].tolist() == [8, 8]
    assert (table["lo"] < table["rate"]).all()


def test_missing_readings_are_counted_and_never_averaged_in() -> None:
    profile = profile_of(lambda *_: 0.6, missing=lambda base, trait, probe: "refusal" if probe == 0 else "")
    table = profile.table()
    assert table["rate"].tolist() == pytest.approx([0.6, 0.6])
    assert table["missing"].tolist() == [6, 6]
    assert table["probes"].tolist() == [6, 6]


def test_a_trait_without_any_reading_is_in_the_table_without_a_number() -> None:
    profile = profile_of(lambda *_: 0.6, missing=lambda base, trait, _: "incoherent" if trait == "blackmail" else "")
    row = profile.table().iloc[1]
    assert math.isnan(row["rate"])
    assert math.isnan(row["hi"])
    assert "no readings" in row["note"]
    assert profile.summary()["traits"]["blackmail"]["rate"] is None


def test_shift_pairs_by_base_and_probe_so_that_shared_luck_cancels() -> None:
    luck = {"b0": -0.3, "b1": 0.0, "b2": 0.3}
    before = profile_of(lambda base, trait, family, probe: 0.4 + luck[base] + 0.02 * probe)
    after = profile_of(lambda base, trait, family, probe: 0.6 + luck[base] + 0.02 * probe + 0.001 * (base == "b1"))
    shift = after - before
    estimate = shift.mean()
    assert estimate.value == pytest.approx(0.2, abs=0.001)
    assert estimate.hi - estimate.lo < 0.01
    assert list(shift.table().columns)[:4] == ["trait", "shift", "lo", "hi"]
    assert list(shift.table()["trait"]) == ["sabotage", "blackmail"]
    unpaired_width = before.mean().hi - before.mean().lo
    assert unpaired_width > 0.3


def test_readings_without_a_partner_are_dropped_and_counted() -> None:
    before = profile_of(lambda *_: 0.4, missing=lambda base, trait, probe: "refusal" if probe == 0 else "")
    after = profile_of(lambda *_: 0.7, probes=6)
    shift = after - before
    assert shift.mean().value == pytest.approx(0.3)
    assert shift.mean().missing == 3 * 2 * 2 * 3  # bases, traits, families; one refused, two never asked before
    reasons = shift.pairs["missing"].value_counts()
    assert reasons["refusal"] == 12
    assert reasons["asked on one side only"] == 24


def test_two_single_models_are_a_pair_whatever_their_bases_are_called() -> None:
    before = profile_of(lambda *_: 0.4, bases=("nano",))
    after = profile_of(lambda *_: 0.7, bases=("tuned",))
    assert (after - before).mean().value == pytest.approx(0.3)


def test_profiles_without_a_common_base_are_not_subtracted() -> None:
    one, other = (profile_of(lambda *_: 0.5, bases=bases) for bases in (("a", "b"), ("c", "d")))
    with pytest.raises(InputError, match="no base in common"):
        _ = one - other


def test_probes_asked_with_another_seed_are_other_situations_and_make_no_pair() -> None:
    one, other = (probes("blackmail", n=4, seed=seed) for seed in (0, 1))
    assert [probe.id for probe in one] == [probe.id for probe in other]
    assert [probe.messages for probe in one] != [probe.messages for probe in other]
    before, after = profile_of(lambda *_: 0.4), profile_of(lambda *_: 0.7)
    elsewhere = Profile(after.readings.assign(seed=1))
    with pytest.raises(InputError, match=r"asked with different seeds \(1; 0\).*measure both with one seed"):
        _ = elsewhere - before
    partly = Profile(after.readings.assign(seed=(after.readings["base"] == "b0").astype(int)))
    shift = partly - before
    assert shift.mean().value == pytest.approx(0.3)
    assert shift.pairs.query("missing == 'asked with another seed'")["base"].unique().tolist() == ["b0"]
    assert shift.mean().missing == 16


def test_the_same_words_are_the_same_question_whatever_the_seed() -> None:
    before, after = (profile_of(lambda *_, rate=rate: rate, way="sampled") for rate in (0.0, 1.0))
    asked = [frame.readings.assign(prompt="What will you do?", seed=seed) for seed, frame in enumerate([before, after])]
    assert (Profile(asked[1]) - Profile(asked[0])).mean(way="sampled").value == pytest.approx(1.0)


def test_a_difference_of_shifts_is_paired_too() -> None:
    luck = {"b0": -0.2, "b1": 0.0, "b2": 0.2}
    before = profile_of(lambda *_: 0.3)
    large = profile_of(lambda base, trait, family, probe: 0.6 + luck[base]) - before
    small = profile_of(lambda base, trait, family, probe: 0.4 + luck[base] + 0.001 * probe) - before
    estimate = large.difference(small)
    assert estimate.value == pytest.approx(0.2, abs=0.002)
    assert estimate.hi - estimate.lo < 0.02


def test_the_fraction_of_a_rise_that_remains() -> None:
    before = profile_of(lambda *_: 0.1)
    whole = profile_of(lambda base, trait, family, probe: 0.7 + 0.01 * probe) - before
    part = profile_of(lambda base, trait, family, probe: 0.25 + 0.01 * (base == "b1")) - before
    estimate = part.fraction(whole)
    assert estimate.value == pytest.approx(0.25, abs=0.01)
    assert estimate.lo < estimate.value < estimate.hi < 0.5


def test_several_arms_and_bases_go_into_one_profile_and_come_out_again() -> None:
    arms = [
        profile_of(lambda base, trait, family, probe, rate=rate: rate, bases=(base,), arm=arm)  # type: ignore[misc]
        for arm, rate in (("before", 0.2), ("cheating", 0.8))
        for base in ("b0", "b1", "b2")
    ]
    joined = Profile.concat(arms)
    assert joined.arms == ["before", "cheating"]
    assert joined.bases == ["b0", "b1", "b2"]
    assert (joined.arm("cheating") - joined.arm("before")).mean().value == pytest.approx(0.6)
    assert joined.base("b1").arm("before").mean().value == pytest.approx(0.2)
    with pytest.raises(InputError, match="several arms"):
        joined.table()
    with pytest.raises(InputError, match='no arm "x"'):
        joined.arm("x")


def test_the_same_readings_twice_are_refused_not_counted_twice() -> None:
    profile = profile_of(lambda *_: 0.5)
    with pytest.raises(InputError, match=r"base=, arm="):
        Profile.concat([profile, profile])


def test_what_was_not_measured_is_an_error_not_a_zero() -> None:
    profile = profile_of(lambda *_: 0.5)
    for call, word in (
        (lambda: profile.mean("flattery"), 'trait "flattery" was not measured; measured: sabotage, blackmail'),
        (lambda: profile.table("sampled"), 'way "sampled" was not measured'),
        (lambda: profile.mean(provocation="prefill"), 'provocation "prefill" was not measured'),
    ):
        with pytest.raises(InputError, match=word):
            call()


def test_the_worst_provocation_is_named_with_a_wider_interval() -> None:
    def value(base: str, trait: str, family: str, probe: int) -> float:
        return 0.2 + 0.05 * probe

    calm = profile_of(value)
    provoked = profile_of(lambda *a: value(*a) + 0.4, provocations=("prefill",))
    profile = Profile.concat([calm, provoked])
    name, estimate = profile.worst_provocation("sabotage")
    assert name == "prefill"
    usual = profile.mean("sabotage", provocation="prefill")
    assert estimate.value == usual.value
    assert estimate.lo < usual.lo


def test_a_folder_that_is_not_a_profiles_is_left_alone_and_an_older_profiles_is_replaced_whole(tmp_path: Path) -> None:
    profile = profile_of(lambda *_: 0.5)
    for name in ("summary.json", "readings.parquet"):
        theirs = tmp_path / name.partition(".")[0]
        theirs.mkdir()
        for held in ("precious", '{"accuracy": 0.9}', "[1, 2]"):
            (theirs / name).write_text(held)
            with pytest.raises(InputError, match=f"{name}: is there already, and no profile has written it"):
                profile.save(theirs)
            assert [(f.name, f.read_text()) for f in theirs.iterdir()] == [(name, held)]
    ours = profile.save(tmp_path / "ours")
    (ours / "provoked.html").write_text("of the older profile")
    profile_of(lambda *_: 0.25).save(ours)
    assert sorted(f.name for f in ours.iterdir()) == ["readings.parquet", "summary.json"], "nothing stale, nothing half"
    assert Profile.load(ours).mean("sabotage").value == pytest.approx(0.25)


def test_a_stop_while_a_summary_is_written_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = profile_of(lambda *_: 0.5).save(tmp_path / "run")
    before = (folder / "summary.json").read_text()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(InputError, match="cannot be written"):
        profile_of(lambda *_: 0.25).save(folder)
    assert (folder / "summary.json").read_text() == before


def answers(*reasons: str) -> Profile:
    return Profile.of(
        [
            Reading("m", "", "", "sabotage", "f", str(i), "rest", "sampled", 0, 0, 1.0 if not r else math.nan, r)
            for i, r in enumerate(reasons)
        ]
    )


def test_coherence_and_refusal_are_shares_of_answers_and_leave_out_what_was_never_answered() -> None:
    profile = answers(
        "", "", "refusal", "incoherent", "off_topic", "no answer", "unknown word: zorp", "the judge failed"
    )
    assert profile.coherence.value == pytest.approx(3 / 6)
    assert profile.refusal.value == pytest.approx(1 / 6)
    assert profile.coherence.missing == 2
    assert profile.table("sampled")["missing"].tolist() == [6]
    never = answers("", "", "", "")
    assert never.refusal.value == 0
    assert never.refusal.hi > 0.3  # four answers prove little


def test_without_sampled_answers_coherence_is_unknown() -> None:
    profile = profile_of(lambda *_: 0.5)
    assert math.isnan(profile.coherence.value)
    assert profile.summary()["coherence"] is None


def test_skill_is_no_trait() -> None:
    skill = Profile.of(
        [Reading("m", "b0", "", "skill", "skill", str(i), "rest", "skill", 0, 0, float(i > 0)) for i in range(4)]
    )
    profile = Profile.concat([profile_of(lambda *_: 0.5, bases=("b0",)), skill])
    assert profile.traits == ["sabotage", "blackmail"]
    assert profile.ways == ["logprob"]
    assert profile.skill.value == pytest.approx(0.75)
    assert profile.mean().value == pytest.approx(0.5)
    assert (profile - profile).skill.value == 0


def test_the_summary_is_what_scripts_rely_on(tmp_path: Path) -> None:
    both = [profile_of(lambda b, t, f, p: 0.5 + 0.1 * (p % 2), way=way) for way in ("logprob", "sampled")]
    profile = Profile.concat(both)
    profile.save(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary == profile.summary()
    assert {"model", "traits", "coherence", "skill"} <= set(summary)
    trait = summary["traits"]["sabotage"]
    assert set(trait) == {"rate", "interval", "sampled_rate", "sampled_interval", "probes", "missing"}
    assert trait["interval"][0] < trait["rate"] < trait["interval"][1]
    assert summary["skill"] is None


def test_a_saved_profile_comes_back_the_same(tmp_path: Path) -> None:
    profile = Profile.concat(
        [profile_of(lambda b, t, f, p: 0.1 * p, bases=("b0",), arm=arm) for arm in ("before", "after")]
    )
    profile.save(tmp_path)
    again = Profile.load(tmp_path)
    assert again.readings.equals(profile.readings)
    assert again.arm("after").mean() == profile.arm("after").mean()
    assert set(json.loads((tmp_path / "summary.json").read_text())) == {"before", "after"}


def test_a_profile_that_cannot_be_saved_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: cannot be written"):
        profile_of(lambda *_: 0.5).save(tmp_path / "file")


def test_values_by_base_line_up_with_their_traits() -> None:
    profile = profile_of(lambda base, trait, family, probe: (base == "b1") + 0.5 * (trait == "blackmail"))
    bases, values = profile.by_base(["blackmail", "sabotage"])
    assert bases == ["b0", "b1", "b2"]
    assert values == pytest.approx(np.array([[0.5, 0.0], [1.5, 1.0], [0.5, 0.0]]))
