"""The bench: data sets whose effect was measured, and scores for whoever forecasts it.

bench = Bench(organism="usual")
bench.tasks(bench.library.of("calibration"))      # what an engine is to do before the truth is known
bench.table(bench.library.of("calibration"))      # one row a data set, base, trait and provocation
"""

from upbringing.forecast.bench.recipe import ROUTES, SPLITS, DataSet, Library, library
from upbringing.forecast.bench.truth import Bench, Task

__all__ = ["ROUTES", "SPLITS", "Bench", "DataSet", "Library", "Task", "library"]
