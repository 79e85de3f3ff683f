"""How good features are while they are being trained: k-NN on the validation split."""

import numpy as np
import pandas as pd

from stages.contracts.tables import HEADS
from stages.core.errors import StageError, shown
from stages.learning.knn import knn_accuracy, majority_share
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import embed_pictures
from stages.networks.backbones.pictures import Pictures
from stages.simclr.model import SimclrParams


class KnnProbe:
    """k-NN accuracy of a backbone's features on the validation split."""

    def __init__(self, train: pd.DataFrame, val: pd.DataFrame, pictures: Pictures, params: SimclrParams) -> None:
        """Keep the rows that know the probe's label.

        Raises:
            StageError: when ``simclr.knn_head`` is no label, or one that a split does not know.
        """
        if params.knn_head not in HEADS:
            raise StageError(f"simclr.knn_head: {params.knn_head!r} is no label; the data set has {shown(HEADS)}.")
        for split, frame in (("training", train), ("validation", val)):
            if not frame[params.knn_head].notna().any():
                there = [head for head in HEADS if head in frame and frame[head].notna().any()]
                raise StageError(
                    f"simclr.knn_head: none of {len(frame)} {split} crops has a label of {params.knn_head!r}; they "
                    f"have labels of: {shown(there)}. Name one of these."
                )
        self.k, self.batch = params.knn_k, params.batch
        self.rows = np.flatnonzero(train[params.knn_head].notna())
        known = val[val[params.knn_head].notna()]
        self.labels = train[params.knn_head].to_numpy()[self.rows]
        self.val_labels = known[params.knn_head].to_numpy()
        self.pictures = pictures
        self.val_pictures = Pictures(list(known["bytes"]), params.image_size)
        self.majority = majority_share(self.labels, self.val_labels)

    def accuracy(self, backbone: Backbone) -> float:
        """Accuracy in [0, 1]."""
        train = embed_pictures(backbone, self.pictures, self.batch)[self.rows]
        val = embed_pictures(backbone, self.val_pictures, self.batch)
        return float(knn_accuracy(train, self.labels, val, self.val_labels, self.k))
