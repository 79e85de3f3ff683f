"""Labels that are probably wrong: of every head, among the labeled crops of all splits, with what they rather are.

Two witnesses judge each label, and neither learned from it or from a row of its group (witnesses.py): logistic
regressions in folds, and the nearest neighbors of other groups, both on features of a frozen network, which has seen no
label. The mean of their probabilities goes into confident learning (Northcutt, Jiang and Chuang 2021, "Confident
Learning: Estimating Uncertainty in Dataset Labels"; cleanlab): it says how many labels of a head are wrong, and as many
are listed, those with the lowest margin first.

Reads:  the data set, models/<profile>/encoders/simclr, RELABEL (labels that a person has corrected or confirmed there
        are not suspected again).
Writes: OUT/suspects.csv: head, row, label, what it rather is, confidence, who says so; OUT/relabel_suggestions.csv: the
        same as lines for RELABEL, the most certain first; OUT/suspects_<head>.jpg: pictures of the first ones;
        METRICS/accuracy.json: share of labels of each head that the witnesses name, METRICS/suspected.json: share that
        is listed.
Params: suspects; runtime.
"""

import argparse
import csv
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from stages.contracts.images import Fit
from stages.contracts.tables import HEADS, RELABEL, read_shards, read_table
from stages.core.determinism import device, seed_everything
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.params import Section
from stages.networks.backbones.backbones import Backbone, Pooling, beside
from stages.networks.backbones.features import Pictures, embed_pictures, load_weights
from stages.runner.stage import Report, Stage
from stages.suspects.confident import Suspects, find
from stages.suspects.sheet import Shown, contact_sheet
from stages.suspects.witnesses import folds_of, leakage_groups, neighbor_shares, out_of_fold, principal_components

log = logging.getLogger(__name__)
