"""Match labels with detections, cut crops; merge the sources and split them without leakage."""
