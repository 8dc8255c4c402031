"""Pages that a person opens: one self-contained HTML file a run, with nothing loaded from the network."""

from upbringing.report.atmosphere import atmosphere_page
from upbringing.report.family import family_page
from upbringing.report.provoked import provoked_page
from upbringing.report.shift import shift_page
from upbringing.report.study import study_page

__all__ = ["atmosphere_page", "family_page", "provoked_page", "shift_page", "study_page"]
