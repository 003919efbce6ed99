"""Reads product files as rows, whatever their packing, encoding and shape.

`container` opens gzip, zip and any encoding; `tables` and `documents` read CSV and JSON; `rows` finds out which of them
a file is. Memory stays flat.
"""
