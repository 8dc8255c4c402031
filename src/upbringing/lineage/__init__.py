"""What was made from what: the record every step leaves."""

from upbringing.lineage.files import check_free, new_folder, write_whole
from upbringing.lineage.kinship import Kinship, kinship
from upbringing.lineage.marks import describe, mark, shows_of, source_of_model, source_of_rows
from upbringing.lineage.record import (
    Record,
    Source,
    default_store,
    hash_of,
    make,
    read_file_record,
    read_record,
    record_file,
    versions,
    write_record,
)

__all__ = [
    "Kinship",
    "Record",
    "Source",
    "check_free",
    "default_store",
    "describe",
    "hash_of",
    "kinship",
    "make",
    "mark",
    "new_folder",
    "read_file_record",
    "read_record",
    "record_file",
    "shows_of",
    "source_of_model",
    "source_of_rows",
    "versions",
    "write_record",
    "write_whole",
]
