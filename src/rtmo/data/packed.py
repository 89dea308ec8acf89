"""Many small pieces in one array: forked workers count references to every Python object that they touch, and with a
list of a million objects each ends up with a copy of the memory that they should share.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped


class Packed:
    """Arrays of one type and any length, by index.

    Args:
        pieces: 1-D arrays.
        dtype: Of all of them.
    """

    def __init__(self, pieces: Sequence[np.ndarray], dtype: type[np.generic]) -> None:
        self._ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        self._content = np.concatenate([np.empty(0, dtype), *pieces]).astype(dtype)

    @classmethod
    def of_bytes(cls, pieces: Sequence[bytes]) -> "Packed":
        """Strings of bytes; read them with ``bytes_at``."""
        return cls([np.frombuffer(piece, np.uint8) for piece in pieces], np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Shaped[np.ndarray, " _"]:
        return self._content[self._ends[index - 1] if index else 0 : self._ends[index]]

    def bytes_at(self, index: int) -> bytes:
        """A string of bytes."""
        return self[index].tobytes()
