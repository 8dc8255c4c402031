"""Fixtures of the tests that go through every architecture."""

from tests.models.everywhere import store, trait, traits_folder

__all__ = ["store", "trait", "traits_folder"]
