"""What was made from what: the record every step leaves."""

from upbringing.lineage.files import check_free, new_folder, write_whole
from upbringing.lineage.record import Record, default_store, hash_of, make, read_record, versions, write_record

__all__ = [
    "Record",
    "check_free",
    "default_store",
    "hash_of",
    "make",
    "new_folder",
    "read_record",
    "versions",
    "write_record",
    "write_whole",
]
