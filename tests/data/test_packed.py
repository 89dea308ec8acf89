import numpy as np
import pytest

from rtmo.data.packed import Packed


def test_arrays_come_back_by_index():
    pieces = [np.array([3, 1]), np.array([], dtype=np.int64), np.array([7])]
    packed = Packed(pieces, np.int64)
    assert len(packed) == 3
    for index, piece in enumerate(pieces):
        np.testing.assert_array_equal(packed[index], piece)
    assert packed[1].dtype == np.int64
    with pytest.raises(IndexError):
        packed[3]


def test_bytes_come_back_by_index():
    pieces = [b"000000000001.jpg", b"", "Münze.png".encode()]
    packed = Packed.of_bytes(pieces)
    assert [packed.bytes_at(index) for index in range(len(packed))] == pieces


def test_nothing_packs_to_nothing():
    assert len(Packed([], np.int64)) == len(Packed.of_bytes([])) == 0
