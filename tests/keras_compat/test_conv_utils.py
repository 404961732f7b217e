"""Lengths, tuples and kernels: closed forms, and lengths counted by laying windows."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_compat.utils import conv_utils
from keras_compat.utils.conv_utils import (
    conv_input_length,
    conv_output_length,
    convert_kernel,
    deconv_length,
    each_axis,
    normalize_padding,
    normalize_tuple,
    spatial_of,
    with_spatial,
)
from tests.keras_compat.conv_oracles import FIRST, LAST, borders

COUNTS = st.integers(1, 7)


@given(st.integers(20, 40), COUNTS, st.sampled_from(["valid", "same", "causal", "full"]), COUNTS, st.integers(1, 3))
def test_output_length_counts_windows(length: int, size: int, padding: str, stride: int, dilation: int) -> None:
    spread = (size - 1) * dilation + 1
    whole = length + sum(borders(length, spread, stride, padding))
    places = [start for start in range(0, whole, stride) if start + spread <= whole]
    assert conv_output_length(length, size, padding, stride, dilation) == len(places)


@given(st.integers(1, 20), COUNTS, COUNTS, st.integers(1, 3))
def test_a_transposed_convolution_undoes_the_length(length: int, size: int, stride: int, dilation: int) -> None:
    for padding in ("valid", "same"):
        longer = deconv_length(length, stride, size, padding, None, dilation)
        assert conv_output_length(longer, size, padding, stride, dilation) == length
    # The shortest of those lengths, and how much longer the result is.
    for more in range(stride):
        longer = deconv_length(length, stride, size, "valid", more, dilation)
        assert longer == (length - 1) * stride + (size - 1) * dilation + 1 + more
        assert conv_output_length(longer, size, "valid", stride, dilation) == length
    assert conv_input_length(length, size, "valid", stride) == deconv_length(length, stride, size, "valid", 0)


def test_lengths_with_borders() -> None:
    assert deconv_length(4, 2, 3, "full", None) == 4 * 2 - (2 + 3 - 2)
    assert deconv_length(4, 2, 3, "same", 1) == 3 * 2 + 3 - 2 + 1
    assert conv_input_length(4, 3, "same", 2) == 3 * 2 - 2 + 3
    assert conv_input_length(4, 3, "full", 2) == 3 * 2 - 4 + 3
    for rule in (conv_output_length(None, 3, "same", 1), conv_input_length(None, 3, "same", 1)):
        assert rule is None
    assert deconv_length(None, 2, 3, "same", None) is None
    assert each_axis(conv_output_length, (9, None), (3, 3), ("valid", "valid"), (2, 2)) == (4, None)


@pytest.mark.parametrize("rule", [conv_output_length, conv_input_length])
def test_unknown_paddings(rule: Any) -> None:
    with pytest.raises(ValueError, match="'reflect'"):
        rule(9, 3, "reflect", 1)
    with pytest.raises(ValueError, match="'causal'"):
        deconv_length(9, 1, 3, "causal", None)


def test_tuples() -> None:
    assert normalize_tuple(3, 2, "strides") == (3, 3)
    assert normalize_tuple([1, 2], 2, "strides") == (1, 2)
    assert normalize_tuple(np.int64(2), 1, "strides") == (2,)
    assert all(type(v) is int for v in normalize_tuple((np.int64(2), 2.0), 2, "strides"))
    for wrong in ((1, 2, 3), "2", None, (1, "a"), 1.5, 0, (1, -1), True):
        with pytest.raises(ValueError, match="`strides` argument must be"):
            normalize_tuple(wrong, 2, "strides")


def test_paddings() -> None:
    assert [normalize_padding(p) for p in ("valid", "SAME", "Causal")] == ["valid", "same", "causal"]
    for wrong in ("full", None, 1):
        with pytest.raises(ValueError, match="`padding` argument must be one of"):
            normalize_padding(wrong)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_kernels_are_turned_in_their_spatial_axes(n: int) -> None:
    kernel = np.arange(2 * 3 * 4 * 5 * 6).reshape((2, 3, 4)[3 - n :] + (5, 6) + (-1,))[..., 0]
    backwards = (slice(None, None, -1),) * n
    turned = convert_kernel(kernel)
    np.testing.assert_array_equal(turned, kernel[backwards])
    np.testing.assert_array_equal(convert_kernel(turned), kernel)
    first = np.moveaxis(kernel, (-1, -2), (0, 1))
    np.testing.assert_array_equal(convert_kernel(first, "th"), first[(slice(None),) * 2 + backwards])
    assert not np.shares_memory(turned, kernel)


def test_kernels_that_are_none() -> None:
    with pytest.raises(ValueError, match="Invalid kernel shape"):
        convert_kernel(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="dim_ordering is 'th' or 'tf'"):
        convert_kernel(np.zeros((3, 3, 1, 1)), "channels_first")


@pytest.mark.parametrize(("layout", "shape"), [(LAST, (None, 4, None, 3)), (FIRST, (None, 3, 4, None))])
def test_shapes(layout: str, shape: tuple[int | None, ...]) -> None:
    assert spatial_of(shape, layout) == (4, None)
    assert with_spatial(shape, layout, (8, None)) == ((None, 8, None, 3) if layout == LAST else (None, 3, 8, None))
    assert with_spatial(shape, layout, (8, 9), 5) == ((None, 8, 9, 5) if layout == LAST else (None, 5, 8, 9))


def test_the_module_is_reached_as_in_keras() -> None:
    import keras_compat.utils

    assert keras_compat.utils.conv_utils is conv_utils
