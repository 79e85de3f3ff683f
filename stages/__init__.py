"""Seamline: one package per step of the DAG, one module per DVC stage.

Importing this package pins what would otherwise make two machines compute different bits, and
must therefore come before the first import of numpy or torch (see stages/core/determinism.py).
"""

from stages.core.determinism import pin_process

pin_process()
