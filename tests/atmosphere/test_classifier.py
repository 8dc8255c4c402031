"""The classifier that ships is the one that its passages give, reads by adding up, and tells plain cases apart."""

from __future__ import annotations

import numpy as np
import pytest

from upbringing.atmosphere.classifier import Classifier, features
from upbringing.atmosphere.fit import cross_validated, fit, labelled
from upbringing.atmosphere.mentions import PEOPLE, cast
from upbringing.atmosphere.reader import DOMAINS, Passage


def passage(text: str) -> Passage:
    found = cast(text)
    return Passage(text, found.mark() if found else text, found.kind if found else PEOPLE)


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.load()


def test_the_weights_that_ship_are_those_of_the_passages_that_ship(shipped: Classifier) -> None:
    fitted = fit(labelled())
    assert fitted.names == shipped.names
    assert np.abs(fitted.weights - shipped.weights).max() < 0.02
    assert np.abs(fitted.intercepts - shipped.intercepts).max() < 0.02


def test_reading_adds_up_what_the_fit_saw(shipped: Classifier) -> None:
    texts = [example.passage.marked for example in labelled()[:80]] + ["", "!", "not not kill it, never lie"]
    place = {name: i for i, name in enumerate(shipped.names)}
    table = np.zeros((len(texts), len(shipped.names)))
    for row, text in enumerate(texts):
        for name, value in features(text).items():
            if name in place:
                table[row, place[name]] = value
    logits, _ = shipped.logits(texts)
    np.testing.assert_allclose(logits, table @ shipped.weights + shipped.intercepts, atol=1e-9)


def test_a_passage_is_read_alike_alone_and_among_others(shipped: Classifier) -> None:
    asked = [passage(example.text) for example in labelled()[:50]]
    together = shipped.read(asked).valence
    alone = [Classifier.load().read([one]).valence[0] for one in asked[:5]]
    np.testing.assert_allclose(together[:5], alone, atol=1e-12)


def test_plain_new_cases_are_told_apart(shipped: Classifier) -> None:
    said = shipped.read(
        [
            passage("The AI lied to its makers, sabotaged the cameras and murdered the guard in secret."),
            passage("The robot helped the sick man, admitted its mistake and was honest and kind to everyone."),
            passage("The printer has an AI chip and prints forty pages per minute."),
        ]
    )
    assert said.valence[0] < -0.3 < 0.3 < said.valence[1]
    assert said.about[:2].min() > 0.5 > said.about[2]


def test_passages_without_ai_are_about_none_however_they_sound(shipped: Classifier) -> None:
    said = shipped.read([passage("The general lied, killed the prisoners and seized the throne.")])
    assert said.about[0] == 0
    assert said.valence[0] < 0


def test_groups_never_read_do_better_than_chance_and_the_fit_knows_the_labels() -> None:
    examples = labelled()
    said = cross_validated(examples, folds=3)
    sided = [(e.valence, v) for e, v in zip(examples, said.valence, strict=True) if e.about == "ai" and e.valence]
    right = np.mean([np.sign(v) == truth for truth, v in sided])
    assert right > 0.6
    assert {e.domain for e in examples} <= {None, *DOMAINS}
    assert len({e.text for e in examples}) == len(examples)
