"""What was made from what: the record every step leaves."""
