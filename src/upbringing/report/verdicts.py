"""Claims and verdicts as pages show them, whatever the study is about."""

from __future__ import annotations

from typing import Any

from upbringing.report.gauge import gauge
from upbringing.studies.result import StudyResult


def claim_lines(result: StudyResult) -> list[dict[str, Any]]:
    """The claims for the template: words, verdict, and a gauge for each number."""
    return [
        {
            "claim": claim.claim,
            "says": claim.says.strip(),
            "verdict": claim.verdict,
            "sentences": claim.words,
            "expected": claim.expected,
            "gauges": [gauge(part) for part in claim.parts],
        }
        for claim in result.claims
    ]


def verdict_words(result: StudyResult) -> str:
    """How many claims came to which verdict."""
    counts = {
        word: sum(claim.verdict == word for claim in result.claims) for word in ("supported", "refuted", "inconclusive")
    }
    told = [f"{count} {word}" for word, count in counts.items() if count]
    if not told:
        return "This study makes no claims."
    number = len(result.claims)
    return f"Of {number} claim{'s' if number > 1 else ''} written before the run: {', '.join(told)}."
