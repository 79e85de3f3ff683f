"""Seamline: one package per step of the DAG, one module per DVC stage; ``python -m stages.run`` starts them."""
