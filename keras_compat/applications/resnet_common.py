"""What the residual networks share: their blocks, stacks of blocks, and the network around them.

``v1``: K. He et al., arXiv:1512.03385. ``v2``, which normalises before it convolves: arXiv:1603.05027. ``next``, with
convolutions in groups: S. Xie et al., arXiv:1611.05431.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_compat import backend as K
from keras_compat.applications._parts import channel_axis, normalized, relu, summed
from keras_compat.applications._request import Request
from keras_compat.applications._weights import published
from keras_compat.layers import Conv2D, DepthwiseConv2D, Lambda, MaxPooling2D, Reshape, ZeroPadding2D
from keras_compat.models import Model

_RELEASE = "https://github.com/keras-team/keras-applications/releases/download/resnet/"
_EPSILON = 1.001e-5
_GROUPS = 32

# MD5 sums of the published weights: with classifier, without.
HASHES = {
    "resnet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2": ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    "resnext50": ("67a5b30d522ed92f75a1f16eef299d1a", "62527c363bdd9ec598bed41947b379fc"),
    "resnext101": ("34fb605428fcc7aa4d62f44404c11509", "0f678c91647380debd923963594981b3"),
}


def _normalized(x: Any, name: str) -> Any:
    return normalized(x, name, epsilon=_EPSILON)


def _active(x: Any, name: str, step: str) -> Any:
    return relu(_normalized(x, f"{name}_{step}_bn"), f"{name}_{step}_relu")


def _block_v1(x: Any, filters: int, stride: int, first: bool, name: str) -> Any:
    shortcut = x
    if first:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = _normalized(shortcut, f"{name}_0_bn")
    x = _active(Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x), name, "1")
    x = _active(Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x), name, "2")
    x = _normalized(Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x), f"{name}_3_bn")
    return relu(summed([shortcut, x], f"{name}_add"), f"{name}_out")


def _block_v2(x: Any, filters: int, stride: int, first: bool, name: str) -> Any:
    active = _active(x, name, "preact")
    if first:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(active)
    else:
        shortcut = MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = _active(Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active), name, "1")
    x = ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    x = _active(Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x), name, "2")
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return summed([shortcut, x], f"{name}_out")


def _sum_of_groups(x: Any) -> Any:
    """Return the sums over what enters each group, the last axis but one."""
    return K.sum(x, axis=-2)


def _block_next(x: Any, filters: int, stride: int, first: bool, name: str) -> Any:
    shortcut, wide = x, 64 // _GROUPS * filters
    if first:
        shortcut = Conv2D(wide, 1, strides=stride, use_bias=False, name=f"{name}_0_conv")(x)
        shortcut = _normalized(shortcut, f"{name}_0_bn")
    x = _active(Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(x), name, "1")
    x = ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    each = filters // _GROUPS
    x = DepthwiseConv2D(3, strides=stride, depth_multiplier=each, use_bias=False, name=f"{name}_2_conv")(x)
    size = K.int_shape(x)[1:-1]
    x = Reshape((*size, _GROUPS, each, each))(x)
    # A depthwise convolution gives what each channel contributes to each of its group: the sum is one in groups.
    x = Lambda(_sum_of_groups, output_shape=(*size, _GROUPS, each), name=f"{name}_2_reduce")(x)
    x = _active(Reshape((*size, filters))(x), name, "2")
    x = _normalized(Conv2D(wide, 1, use_bias=False, name=f"{name}_3_conv")(x), f"{name}_3_bn")
    return relu(summed([shortcut, x], f"{name}_add"), f"{name}_out")


@dataclass(frozen=True)
class Family:
    """How the networks of one kind are built.

    Args:
        block: makes a block of (x, filters, stride, whether it is the first of its stack, name).
        filters: of each stack.
        strides: of each stack ...
        last: ... in its last block, not its first.
        bias: whether the first convolution has one.
        preact: whether blocks begin with the normalisation; then one stands at the end, none at the beginning.
    """

    block: Callable[[Any, int, int, bool, str], Any]
    filters: tuple[int, ...] = (64, 128, 256, 512)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    last: bool = False
    bias: bool = True
    preact: bool = False


V1 = Family(_block_v1)
V2 = Family(_block_v2, strides=(2, 2, 2, 1), last=True, preact=True)
NEXT = Family(_block_next, filters=(128, 256, 512, 1024), bias=False)


def resnet(request: Request, name: str, family: Family, depths: Sequence[int]) -> Model:
    """Build a network with ``depths[i]`` blocks in its stack ``i``."""
    in_groups = family is NEXT
    if in_groups and channel_axis() == 1:
        raise ValueError(
            f"[{request.network}] convolutions in groups are for channels_last only; got channels_first. Call "
            "K.set_image_data_format('channels_last') before."
        )
    x = request.image(size=224, smallest=32, flat=True if in_groups else None)
    x = ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = Conv2D(64, 7, strides=2, use_bias=family.bias, name="conv1_conv")(x)
    if not family.preact:
        x = relu(_normalized(x, "conv1_bn"), "conv1_relu")
    x = ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for i, (filters, depth, stride) in enumerate(zip(family.filters, depths, family.strides), start=2):
        strided = depth if family.last else 1
        for k in range(1, depth + 1):
            x = family.block(x, filters, stride if k == strided else 1, k == 1, f"conv{i}_block{k}")
    if family.preact:
        x = relu(_normalized(x, "post_bn"), "post_relu")
    x = request.head(x, "probs", named=True)
    stem = f"{_RELEASE}{name}_weights_tf_dim_ordering_tf_kernels"
    top, no_top = HASHES[name]
    return request.model(x, name, published(f"{stem}.h5", top, f"{stem}_notop.h5", no_top))
