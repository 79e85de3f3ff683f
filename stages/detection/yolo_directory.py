"""A standard YOLO directory (images/, labels/, data.yaml) from shards and a box table.

Ultralytics reads many files; DVC is slow with them. So the directory is kept in the ignored work folder, named by the
hash of its content, and reused while the content stays.
"""

from pathlib import Path

import pandas as pd
import yaml

from stages.contracts.tables import BOXES, iter_shards, read_table, read_unboxed, shard_paths
from stages.core.files import digest, file_digest, fresh_folder
from stages.runner.progress import track

SPLITS = ("train", "val", "test")
LONGEST = 200  # bytes of a file's name before its suffix; file systems take 255


def yolo_lines(boxes: pd.DataFrame, names: list[str]) -> list[str]:
    """Label lines ``class cx cy w h`` with 6 digits; the class is the position of the superclass in ``names``."""
    return [
        f"{names.index(row.superclass)} {row.cx:.6f} {row.cy:.6f} {row.w:.6f} {row.h:.6f}" for row in boxes.itertuples()
    ]


def file_name(image_id: str) -> str:
    """A file name for an image without the folders in its id; different ids have different names."""
    if "/" not in image_id and len(image_id.encode()) <= LONGEST:
        return image_id
    # The end of a path is the most specific; the digest tells a__b from a/b.
    return f"{image_id.replace('/', '__').encode()[-LONGEST:].decode(errors='ignore')}-{digest(image_id)[:8]}"


def write_yolo_directory(ingested: Path, boxes: Path, names: list[str], background: bool, out: Path) -> Path:
    """Write images, labels and data.yaml below ``out``.

    Args:
        background: True: images without a box show no garment and get an empty label file. False: the source is only
            partly annotated, and such images, which may show garments, are left out. Images whose boxes were all
            rejected are always left out.

    Returns:
        the path of data.yaml.
    """
    table = read_table(boxes / "boxes.parquet", BOXES).to_pandas()
    of_image = dict(list(table.groupby("image_id", sort=False)))
    unboxed = read_unboxed(ingested)
    paths = shard_paths(ingested)
    for split in SPLITS:
        for kind in ("images", "labels"):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
    shards = track(iter_shards(ingested, ["image_id", "split", "bytes"]), total=len(paths), desc="lay out YOLO folder")
    for shard in shards:
        for row in shard.to_pylist():
            name = row["image_id"]
            if name not in of_image and (not background or name in unboxed):
                continue
            file = file_name(name)
            (out / "images" / row["split"] / f"{file}.jpg").write_bytes(row["bytes"])
            lines = yolo_lines(of_image[name], names) if name in of_image else []
            (out / "labels" / row["split"] / f"{file}.txt").write_text("".join(f"{line}\n" for line in lines))
    # No `path`: Ultralytics then takes the folder of data.yaml, and the directory can be moved.
    content = {**{split: f"images/{split}" for split in SPLITS}, "names": dict(enumerate(names))}
    (out / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return out / "data.yaml"


def cached_yolo_directory(ingested: Path, boxes: Path, names: list[str], background: bool, work: Path) -> Path:
    """The YOLO directory for these inputs below ``work``, written if it is not there yet; path of data.yaml."""
    content = file_digest(*shard_paths(ingested), boxes / "boxes.parquet")
    out = work / f"{boxes.name}-{digest(content, str(background), *names, *sorted(read_unboxed(ingested)))[:16]}"
    if not (out / "data.yaml").is_file():  # written last
        write_yolo_directory(ingested, boxes, names, background, fresh_folder(out))
    return out / "data.yaml"
