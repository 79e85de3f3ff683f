"""The headwear set's annotation files."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

# Entities that grow when a parser expands them, and one that reads a file: a careful parser refuses all declarations.
HOSTILE_XML = """<?xml version="1.0"?>
<!DOCTYPE annotation [
  <!ENTITY a "caps caps caps caps">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
  <!ENTITY local SYSTEM "file:///etc/hostname">
]>
<annotation>
  <filename>{file}</filename>
  <source><database>&b;&local;</database></source>
  <object><name>cap</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>
"""


def voc_xml(filename: str, path: str, size: tuple[int, int], boxes: Sequence[tuple[float, float, float, float]]) -> str:
    """A labelImg file: 0-based coordinates, exclusive ends."""
    objects = "".join(
        f"\t<object>\n\t\t<name>cap</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x0}</xmin>\n\t\t\t<ymin>{y0}</ymin>\n"
        f"\t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for x0, y0, x1, y1 in boxes
    )
    return (
        f"<annotation>\n\t<folder>images</folder>\n\t<filename>{escape(filename)}</filename>\n"
        f"\t<path>{escape(path)}</path>\n\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{size[0]}</width>\n\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )
