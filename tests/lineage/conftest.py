"""Fixtures: a saved model, and an adapter of it."""

from tests.models.tiny import adapter, folder

__all__ = ["adapter", "folder"]
