"""Settings of a training run that nobody gave, where both the recipe and the command line's help can read them.

Nothing is imported here: help must be instant, and the recipe is not.
"""

STEPS = 80
BATCH_SIZE = 32
LEARNING_RATE = 3e-4
