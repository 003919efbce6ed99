"""Files of products as rows, whatever they are packed in.

`container` opens gzip, zip and any encoding; `tables` and `documents` read CSV and JSON in their shapes; `rows` finds
out which it is. Memory stays flat.
"""
