"""Boxes without annotators: what stands out in a photo, and how a box around it compares with a detector's."""
