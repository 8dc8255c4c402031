"""``python -m upbringing`` is the same as ``upbringing``."""

from upbringing.cli import main

if __name__ == "__main__":
    main()
