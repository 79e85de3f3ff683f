"""The project that these tests share."""

from shared_project import _reproduced, project

__all__ = ["_reproduced", "project"]
