"""An MLflow store, and small upstream trees."""

from mlflow_store import store
from trees import tree

__all__ = ["store", "tree"]
