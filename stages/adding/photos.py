"""Find the photos that ingest will leave out: those that cannot be read, and copies of others."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from stages.contracts.images import TooManyPixels, check
from stages.core.parallel import workers
from stages.ingest.reading import ImageFile, IngestParams
from stages.ingest.splitting import exact_duplicates

MOST = 5000  # photos; `make add` opens none of a larger source


class Photos:
    """The photos of a source. Each is opened once, even if the source is measured several times."""

    def __init__(self) -> None:
        self._outcomes: dict[Path, tuple[str, str]] = {}

    def left_out(self, files: list[ImageFile], params: IngestParams) -> dict[str, tuple[str, str]]:
        """image_id -> (reason, detail) as ingest will reject them, but without near duplicates."""
        if len(files) > MOST:
            return {}
        new = [file.path for file in files if file.path not in self._outcomes]
        # Threads, because PIL decodes without Python's lock.
        with ThreadPoolExecutor(workers()) as pool:
            self._outcomes |= dict(zip(new, pool.map(partial(_outcome_of, params=params), new), strict=True))
        reasons = {}
        for file in files:
            reason, detail = self._outcomes[file.path]
            if reason:
                reasons[file.image_id] = (reason, f"{file.path.name}: {detail}")
        if params.duplicates == "drop":
            digests = {file.image_id: self._outcomes[file.path][1] for file in files if file.image_id not in reasons}
            copies = exact_duplicates(digests, {file.image_id: file for file in files})
            reasons |= {
                copy: ("duplicate_image", f"{copy}: same bytes as {original}") for copy, original in copies.items()
            }
        return reasons


def _outcome_of(path: Path, params: IngestParams) -> tuple[str, str]:
    """("", digest) of a photo that can be read, or (reason, what was found)."""
    try:
        data = path.read_bytes()
        width, height = check(data, params.max_pixels)
    except TooManyPixels as error:
        return "too_large", str(error)
    except (OSError, ValueError, SyntaxError) as error:
        return "corrupt_image", str(error)
    if min(width, height) < params.min_side:
        return "too_small", f"{width}x{height}"
    return "", hashlib.sha256(data).hexdigest()
