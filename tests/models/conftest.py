"""Fixtures of the tests of models: a saved one and an adapter of it, and what goes through every architecture."""

from tests.models.everywhere import store, trait, traits_folder
from tests.models.tiny import adapter, folder

__all__ = ["adapter", "folder", "store", "trait", "traits_folder"]
