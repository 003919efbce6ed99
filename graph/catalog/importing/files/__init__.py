"""Files of products as rows, whatever they are packed in: gzip and zip, encodings, CSV and JSON in their shapes."""
