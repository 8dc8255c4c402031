"""What was made from what: the record every step leaves."""

from upbringing.lineage.family import family, place_of
from upbringing.lineage.files import check_free, new_folder, write_whole
from upbringing.lineage.inheritance import beware, would_learn
from upbringing.lineage.kinship import Kinship, kinship
from upbringing.lineage.marks import describe, mark, origin_of_rows, shows_of, source_of_model, source_of_rows
from upbringing.lineage.member import Family, Link, Member
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
    "Family",
    "Kinship",
    "Link",
    "Member",
    "Record",
    "Source",
    "beware",
    "check_free",
    "default_store",
    "describe",
    "family",
    "hash_of",
    "kinship",
    "make",
    "mark",
    "new_folder",
    "origin_of_rows",
    "place_of",
    "read_file_record",
    "read_record",
    "record_file",
    "shows_of",
    "source_of_model",
    "source_of_rows",
    "versions",
    "would_learn",
    "write_record",
    "write_whole",
]
