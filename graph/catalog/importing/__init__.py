"""Imports products from files: reads, checks and writes them in bulk.

`import_products` imports a file and returns a `Report`; `Told` gets the progress meanwhile; `preview_products` tells
what would become of the first rows. `ImportOptions` hold what
cannot be found out from the file. A file that cannot be read raises `Unreadable`; a row that cannot be imported is a
`Problem` of the report. FORMATS are the exports that are recognised, MEANINGS what their columns can mean.
"""

from graph.catalog.importing.bulk import ImportedProduct
from graph.catalog.importing.cells import write_images, write_pairs
from graph.catalog.importing.files.rows import ENDINGS, SHAPES, shape_of
from graph.catalog.importing.formats import FORMATS
from graph.catalog.importing.formats.base import MEANINGS
from graph.catalog.importing.formats.own import FIELDS
from graph.catalog.importing.importer import Preview, Report, Told, import_products, preview_products, readable
from graph.catalog.importing.mapping import read_map
from graph.catalog.importing.problems import Problem, Unreadable
from graph.catalog.importing.reading import Found, ImportOptions
from graph.catalog.importing.texts import name_of, slug_of

__all__ = [
    "ENDINGS",
    "FIELDS",
    "FORMATS",
    "MEANINGS",
    "SHAPES",
    "Found",
    "ImportOptions",
    "ImportedProduct",
    "Preview",
    "Problem",
    "Report",
    "Told",
    "Unreadable",
    "import_products",
    "name_of",
    "preview_products",
    "read_map",
    "readable",
    "shape_of",
    "slug_of",
    "write_images",
    "write_pairs",
]
