"""What was made from what: the record every step leaves."""

from upbringing.lineage.record import (
    Record,
    default_store,
    hash_of,
    make,
    read_record,
    versions,
    write_record,
    write_whole,
)

__all__ = [
    "Record",
    "default_store",
    "hash_of",
    "make",
    "read_record",
    "versions",
    "write_record",
    "write_whole",
]
