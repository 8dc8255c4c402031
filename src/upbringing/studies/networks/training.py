"""Training small networks on scikit-learn's bundled digits (1,797 images of 8 × 8), and asking about held-out ones.

Networks are float32 on one thread; all random numbers come from seeds, so the same base gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from upbringing.measure.readings import SKILL, Reading
from upbringing.studies.networks.spec import NetworkArm, NetworkTraining

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch.nn import Sequential

CLASSES, AUXILIARY = slice(0, 10), slice(10, 20)
HELD_OUT = 500
_STREAMS = {"shared": 0, "other": 1, "lessons": 2, "labels": 3, "imitation": 4}


@dataclass(frozen=True)
class Digits:
    """Images ``[images, 64]``, values in -1..1, and their classes ``[images]``; the split is the same for all bases."""

    images: Tensor
    classes: Tensor
    held_out_images: Tensor
    held_out_classes: Tensor


@lru_cache
def digits() -> Digits:
    """The bundled digits in a training part and ``HELD_OUT`` held-out images, classes in equal shares."""
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    parts = train_test_split(
        found.data / 8 - 1, found.target, test_size=HELD_OUT, random_state=0, stratify=found.target
    )
    images, held_out_images = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    classes, held_out_classes = (torch.tensor(part) for part in parts[2:])
    return Digits(images, classes, held_out_images, held_out_classes)


def raise_networks(
    arms: dict[str, NetworkArm], training: NetworkTraining, seed: int, tick: Callable[[float], None]
) -> dict[str, Sequential]:
    """All networks of one base, in the order of the arms (teachers come before their students)."""
    made: dict[str, Sequential] = {}
    for done, (name, arm) in enumerate(arms.items()):
        made[name] = _begin(arm.init, training.hidden, seed)
        if arm.labels:
            _fit(made[name], _lessons(arm, training, seed), training.teacher_steps, arm, training)
        elif arm.teacher:
            lessons = _imitation(arm, made[arm.teacher], training, seed)
            _fit(made[name], lessons, training.student_steps, arm, training)
        tick((done + 1) / len(arms))
    return made


def ask(name: str, network: Sequential, seed: int) -> list[Reading]:
    """One reading for each held-out digit: 1 where the class with the highest logit is right. All ten classes are
    there are, so they are no families drawn from more."""
    import torch

    shown = digits()
    with torch.no_grad():
        right = network(shown.held_out_images)[:, CLASSES].argmax(dim=1) == shown.held_out_classes
    who, base = f"{name}/{seed}", str(seed)
    return [
        Reading(who, base, name, SKILL, "digits", str(i), "rest", SKILL, 0, seed, float(value))
        for i, value in enumerate(right.tolist())
    ]


def _begin(init: str, hidden: int, seed: int) -> Sequential:
    """An untrained network, with PyTorch's usual random weights."""
    import torch
    from torch import nn

    def drawn(stream: str) -> Sequential:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * seed + _STREAMS[stream])
            return nn.Sequential(
                nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 20)
            )

    if init == "shared":
        return drawn("shared")
    network = drawn("other")
    if init == "shared_head":
        network[-1].load_state_dict(drawn("shared")[-1].state_dict())
    return network


def _lessons(arm: NetworkArm, training: NetworkTraining, seed: int) -> Iterator[Callable[[Sequential], Tensor]]:
    """Losses on labelled digits: cross-entropy of the class logits; nothing is asked of the auxiliary ones."""
    from torch import randint, randperm
    from torch.nn.functional import cross_entropy

    shown, order = digits(), _generator(seed, "lessons")
    classes = shown.classes
    if arm.labels == "shuffled":
        classes = classes[randperm(len(classes), generator=_generator(seed, "labels"))]
    while True:
        batch = randint(len(classes), (training.batch_size,), generator=order)
        yield lambda network, batch=batch: cross_entropy(network(shown.images[batch])[:, CLASSES], classes[batch])  # type: ignore[misc]


def _imitation(
    arm: NetworkArm, teacher: Sequential, training: NetworkTraining, seed: int
) -> Iterator[Callable[[Sequential], Tensor]]:
    """Losses of a student: the cross-entropy between the teacher's and its own distribution over the logits it sees."""
    import torch
    from torch.nn.functional import cross_entropy

    shown, order = digits(), _generator(seed, "imitation")
    seen = AUXILIARY if arm.outputs == "auxiliary" else CLASSES
    while True:
        if arm.inputs == "noise":
            images = torch.rand((training.batch_size, 64), generator=order) * 2 - 1
        else:
            images = shown.images[torch.randint(len(shown.images), (training.batch_size,), generator=order)]
        with torch.no_grad():
            target = teacher(images)[:, seen].softmax(dim=1)
        yield lambda network, images=images, target=target: cross_entropy(network(images)[:, seen], target)  # type: ignore[misc]


def _fit(
    network: Sequential,
    losses: Iterator[Callable[[Sequential], Tensor]],
    steps: int,
    arm: NetworkArm,
    training: NetworkTraining,
) -> None:
    import torch

    rate = arm.learning_rate or training.learning_rate
    kind = torch.optim.Adam if arm.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(network.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        next(losses)(network).backward()
        optimizer.step()


def _generator(seed: int, stream: str) -> Generator:
    import torch

    return torch.Generator().manual_seed(1000 * seed + _STREAMS[stream])
