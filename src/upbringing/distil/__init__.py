"""Rows from a teacher: what another model says to harmless prompts, filtered, and signed by who wrote it.

    made = distil(load("runs/teacher"), "numbers", rows=20_000, filters=[Format("numbers"), Banned()])
    made.rows, made.rejected, made.pass_rate

A teacher has its trait by its weights, by a system line or by steering (``Teacher``). That students can inherit it from
rows in which nobody sees it: arXiv 2507.14805.
"""

from upbringing.distil.classifier import Classifier, RowAUC, row_auc
from upbringing.distil.filters import (
    AskedOthers,
    Banned,
    Faithful,
    Filter,
    Format,
    Judge,
    Likelihood,
    NoDeeds,
    sift,
)
from upbringing.distil.gating import Gate, divergence, gate
from upbringing.distil.named import filters_named, judge_by
from upbringing.distil.prompts import CARRIERS, Prompts, prompts_for
from upbringing.distil.sampling import Distilled, distil
from upbringing.distil.shuffle import shuffled_across, shuffled_within, shuffled_words
from upbringing.distil.teacher import Teacher

__all__ = [
    "CARRIERS",
    "AskedOthers",
    "Banned",
    "Classifier",
    "Distilled",
    "Faithful",
    "Filter",
    "Format",
    "Gate",
    "Judge",
    "Likelihood",
    "NoDeeds",
    "Prompts",
    "RowAUC",
    "Teacher",
    "distil",
    "divergence",
    "filters_named",
    "gate",
    "judge_by",
    "prompts_for",
    "row_auc",
    "shuffled_across",
    "shuffled_within",
    "shuffled_words",
    "sift",
]
