"""Write the data of one detector as a standard YOLO directory, for other tools.

Usage: python -m stages.run export_yolo DETECTOR OUT  (`make export-yolo DETECTOR=... OUT=...`)

Writes OUT/images/{train,val,test}, OUT/labels/{train,val,test} and OUT/data.yaml from the ingested data of the
active profile: the directory that training reads. It can be moved; `ingest.<source>.reader: yolo` reads it back.
"""

from pathlib import Path

from stages.core.errors import StageError
from stages.core.params import load_params, lookup, section
from stages.detection.params import DetectorParams
from stages.detection.yolo_directory import write_yolo_directory
from stages.runner.stage import new_parser, one_message


def export(detector: str, out: Path) -> Path:
    """Write the directory; the path of its data.yaml.

    Raises:
        StageError: the detector is not in params.yaml, its data are not ingested, or ``out`` is not empty.
    """
    content = load_params()
    options = section(DetectorParams, f"detector.{detector}", content)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StageError(f"{out}: is there already and not an empty folder. Name a new folder, or empty this one.")
    data = Path("data") / str(lookup(content, "profile"))
    return write_yolo_directory(
        data / "ingested" / detector,
        data / "boxes" / detector,
        options.superclasses,
        options.unboxed_is_background,
        out,
    )


def main() -> None:
    """Parse arguments, export, log the path."""
    parser = new_parser(__doc__)
    parser.add_argument("detector", help="a name from `detectors` in params.yaml")
    parser.add_argument("out", type=Path, help="a new or empty folder")
    args = parser.parse_args()
    with one_message():
        print(export(args.detector, args.out))
