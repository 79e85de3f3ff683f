"""The trained models of a profile as ONNX, and what reads them without this project."""
