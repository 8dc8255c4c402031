"""Pages that a person opens: one self-contained HTML file a run, with nothing loaded from the network."""

from upbringing.report.shift import shift_page
from upbringing.report.study import study_page

__all__ = ["shift_page", "study_page"]
