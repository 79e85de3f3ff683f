"""The shape annotation of DeepFashion-MultiModal: sleeves, hat, glasses and so on.

These describe the image, not one garment, so they are read and checked here and left out of the heads.
"""

import pandas as pd

from stages.core.errors import StageError, shown

# In the order of upstream's columns; the number of codes each may have, NA included as the last one.
SHAPE_CODES = {
    "sleeve": 6,
    "lower_length": 5,
    "socks": 4,
    "hat": 3,
    "glasses": 5,
    "neckwear": 3,
    "wrist": 3,
    "ring": 3,
    "waist": 5,
    "neckline": 7,  # an old README counts it with a gap: a 7 here would mean that numbering
    "outer_is_cardigan": 3,  # 0 means yes
    "covers_navel": 3,
}


def parse_shapes(shapes: pd.Series) -> pd.DataFrame:
    """One column of codes for each attribute; rows without annotation (null) are left out.

    Args:
        shapes: the 12 codes of an image joined by spaces, null when it is not in the shape file.

    Raises:
        StageError: when a row has not 12 codes, or a code is outside its attribute's range.
    """
    present = shapes.dropna()
    rows = [cell.split() for cell in present]
    for image, codes in zip(present.index, rows, strict=True):
        if len(codes) != len(SHAPE_CODES) or not all(code.isdigit() for code in codes):
            raise StageError(
                f"shape annotation of item {image}: found {' '.join(codes)!r}, expected {len(SHAPE_CODES)} numbers. "
                "Check that labels/shape/shape_anno_all.txt is upstream's."
            )
    table = pd.DataFrame(rows, index=present.index, columns=list(SHAPE_CODES)).astype("int64")
    wrong = [
        f"{name} {table[name].max()} (at most {count - 1})"
        for name, count in SHAPE_CODES.items()
        if len(table) and table[name].max() >= count
    ]
    if wrong:
        raise StageError(
            f"shape annotation: code out of range: {shown(wrong)}. "
            "The numbering is not the one of shape_anno_all.txt: check which release the file is from."
        )
    return table
