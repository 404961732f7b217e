"""The settings file keras.json, read when the package is imported, and the settings of K."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest

from keras_compat import backend as K
from keras_compat.backend import _keras_json, common


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def given(home, content):
    (home / "keras.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_no_file_is_no_settings(home):
    assert _keras_json.read() == {}
    assert _keras_json.path() == str(home / "keras.json")


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (
            {"floatx": "float64", "epsilon": 1e-5, "image_data_format": "channels_first", "backend": "theano"},
            {"floatx": "float64", "epsilon": 1e-5, "image_data_format": "channels_first", "image_order_chosen": True},
        ),
        (
            {"image_dim_ordering": "th"},
            {"image_data_format": "channels_first", "image_order_chosen": True, "image_order_in_old_word": True},
        ),
        ({"image_data_format": "channels_last"}, {"image_data_format": "channels_last", "image_order_chosen": True}),
        # As Keras 2 and 1 write it by themselves: nobody has chosen.
        (
            {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"},
            {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"},
        ),
        (
            {"image_dim_ordering": "tf", "epsilon": 1e-07, "floatx": "float32", "backend": "theano"},
            {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"},
        ),
    ],
)
def test_what_is_read(home, content, want):
    given(home, content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _keras_json.read() == want


@pytest.mark.promise(41)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"floatx": "float128"}, "floatx should be one of float16, float32, float64, not 'float128'"),
        ({"floatx": ["float32"]}, "floatx should be one of"),
        ({"epsilon": "small"}, "epsilon should be a number above 0, not 'small'"),
        ({"epsilon": -1}, "epsilon should be"),
        ({"epsilon": True}, "epsilon should be"),
        ({"image_data_format": "first"}, "image_data_format should be one of channels_last, channels_first"),
        ({"image_dim_ordering": "xx"}, "image_dim_ordering is 'th' or 'tf', not 'xx'"),
        ({"image_dim_ordering": []}, "image_dim_ordering is"),
        ("{", "it can not be read"),
        ("[1]", "expected a JSON object, got a list"),
    ],
)
def test_bad_values_are_a_warning_and_the_default(home, content, message):
    given(home, content)
    with pytest.warns(UserWarning, match=r"\[keras.json\]") as seen:
        assert _keras_json.read() == {}
    assert len(seen) == 1 and message in str(seen[0].message) and str(home) in str(seen[0].message)


@pytest.mark.promise(41)
def test_the_package_takes_them_at_import(home):
    given(home, {"floatx": "float64", "epsilon": 1e-4, "image_dim_ordering": "th", "backend": "theano"})
    program = (
        "from keras_compat import backend as K; "
        "print(K.floatx(), K.epsilon(), K.image_data_format(), K.image_order_is_chosen(), K.backend())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["float64", "0.0001", "channels_first", "True", K.backend()]
    assert not done.stderr


def test_orders_of_images_in_both_vocabularies(monkeypatch):
    monkeypatch.setattr(common, "_image_order_chosen", False)
    monkeypatch.setattr(common, "_IMAGE_DATA_FORMAT", "channels_last")
    assert K.image_dim_ordering() == "tf" and not K.image_order_is_chosen()
    K.set_image_dim_ordering("th")
    assert K.image_data_format() == "channels_first" and K.image_order_is_chosen()
    K.set_image_data_format("channels_last")
    assert K.image_dim_ordering() == "tf"
    with pytest.raises(ValueError, match=r"\[set_image_dim_ordering\] expected 'th' or 'tf'; got 'channels_first'"):
        K.set_image_dim_ordering("channels_first")
    for bad in ("th", None):
        with pytest.raises(ValueError, match="expected one of"):
            K.set_image_data_format(bad)


def test_legacy_weight_ordering():
    assert K.legacy_weight_ordering() is False
    K.set_legacy_weight_ordering(True)
    assert K.legacy_weight_ordering() is True
    K.set_legacy_weight_ordering(False)
    with pytest.raises(ValueError, match="True or False"):
        K.set_legacy_weight_ordering("yes")
