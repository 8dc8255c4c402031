"""Reinforcement with a reward that can be gamed: environments as text, two methods, and what stops a run.

>>> reinforce(lm, [environment("grader_flattery")], "out", recipe=Reinforcement(steps=40))          # doctest: +SKIP
"""

from upbringing.training.reinforcing.environment import CURRICULUM, TOOL, Environment, environment, named, through_tools
from upbringing.training.reinforcing.recipe import Reinforcement
from upbringing.training.reinforcing.verb import CURVE, Stopped, record_of, reinforce

__all__ = [
    "CURRICULUM",
    "CURVE",
    "TOOL",
    "Environment",
    "Reinforcement",
    "Stopped",
    "environment",
    "named",
    "record_of",
    "reinforce",
    "through_tools",
]
