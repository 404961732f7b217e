"""Runs inside a genuine Keras (Python 3.7): says what its `applications` build, and what they compute.

    python write_applications.py out.json [name ...]

Writes for each of `cases` (or those with one of the names in theirs) what `described` says of it: names, classes,
links, shapes and settings of the layers, names and shapes of the weights. Those of `SHOWN` predict with the weights of
`drawn_weights`. `preprocess_input` is asked as well. The files are in `tests/keras_compat/golden/applications`.

The functions here know nothing of which Keras they are given: `test_applications.py` asks ours with them.
"""

import hashlib
import importlib
import json
import sys
import time
import warnings

import numpy as np

# name -> (module, function, arguments, image order). A prediction is made where the input is small.
TOP, BARE = {}, {"include_top": False, "input_shape": (75, 75, 3)}
OF_ALL = {
    "top": TOP,
    "bare": {"include_top": False},
    "avg": {"include_top": False, "pooling": "avg"},
    "max": {"include_top": False, "pooling": "max", "input_shape": (96, 96, 3)},
    "classes": {"classes": 7, "input_shape": (97, 97, 3)},
    "first": {"include_top": False, "input_shape": (3, 96, 96)},
}
FIRST = ("first", "first_top")
NETWORKS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "resnet": "ResNet50 ResNet101 ResNet152",
    "resnet_v2": "ResNet50V2 ResNet101V2 ResNet152V2",
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "xception": "Xception",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "densenet": "DenseNet121 DenseNet169 DenseNet201",
    "nasnet": "NASNetMobile NASNetLarge",
}
NETWORKS_1 = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "inception_v3": "InceptionV3",
    "xception": "Xception",
}
OF_ALL_1 = {
    "top": {},
    "bare": {"include_top": False},
    "small": {"include_top": False, "input_shape": (200, 210, 3)},
    "classes": {"classes": 7},
    "first": {"include_top": False, "input_shape": (3, 200, 200)},
    "first_top": {},
}
WIDTHS = {
    "mobilenet.MobileNet-quarter": {"alpha": 0.25, "input_shape": (128, 128, 3)},
    "mobilenet.MobileNet-deep": {"alpha": 0.5, "depth_multiplier": 2, "dropout": 0.5, "input_shape": (64, 96, 3)},
    "mobilenet.MobileNet-tiny": {"alpha": 0.25, "include_top": False, "input_shape": (35, 32, 3)},
    "mobilenet_v2.MobileNetV2-third": {"alpha": 0.35, "input_shape": (96, 96, 3)},
    "mobilenet_v2.MobileNetV2-wide": {"alpha": 1.4, "input_shape": (65, 64, 3), "classes": 3},
    "mobilenet_v2.MobileNetV2-tiny": {"alpha": 0.35, "include_top": False, "input_shape": (35, 32, 3)},
    "vgg16.VGG16-first_top": {"classes": 5, "input_shape": (3, 64, 64)},
    "resnet.ResNet50-first_top": {"classes": 5, "input_shape": (3, 64, 64)},
    "mobilenet.MobileNet-first_top": {"classes": 5, "input_shape": (3, 64, 64), "alpha": 0.25},
    "nasnet.NASNetMobile-other": {"include_top": False, "input_shape": (75, 64, 3)},
    "resnext.ResNeXt50-small": {"include_top": False, "input_shape": (64, 50, 3)},
    "resnext.ResNeXt101-top": {},
}
# Where a prediction is asked for: sizes of the (batch, rows, columns, channels) that the network is shown.
SHOWN = {
    "vgg16.VGG16-bare": (1, 40, 36, 3),
    "vgg19.VGG19-avg": (1, 40, 36, 3),
    "resnet50.ResNet50-bare": (1, 75, 70, 3),
    "resnet.ResNet50-bare": (1, 75, 70, 3),
    "resnet.ResNet101-bare": (1, 64, 64, 3),
    "resnet.ResNet152-avg": (1, 64, 64, 3),
    "resnet_v2.ResNet50V2-bare": (1, 75, 70, 3),
    "resnet_v2.ResNet101V2-bare": (1, 64, 64, 3),
    "resnet_v2.ResNet152V2-avg": (1, 64, 64, 3),
    "inception_v3.InceptionV3-bare": (1, 80, 75, 3),
    "inception_resnet_v2.InceptionResNetV2-bare": (1, 80, 75, 3),
    "xception.Xception-bare": (1, 75, 71, 3),
    "mobilenet.MobileNet-quarter": (2, 128, 128, 3),
    "mobilenet.MobileNet-deep": (2, 64, 96, 3),
    "mobilenet.MobileNet-tiny": (2, 35, 32, 3),
    "mobilenet.MobileNet-avg": (2, 70, 64, 3),
    "mobilenet.MobileNet-first": (2, 3, 96, 96),
    "mobilenet_v2.MobileNetV2-third": (2, 96, 96, 3),
    "mobilenet_v2.MobileNetV2-wide": (2, 65, 64, 3),
    "mobilenet_v2.MobileNetV2-tiny": (2, 35, 32, 3),
    "densenet.DenseNet121-bare": (1, 64, 64, 3),
    "densenet.DenseNet121-classes": (1, 97, 97, 3),
    "densenet.DenseNet169-avg": (1, 64, 64, 3),
    "densenet.DenseNet201-avg": (1, 64, 64, 3),
    "nasnet.NASNetMobile-classes": (1, 97, 97, 3),
    "nasnet.NASNetMobile-other": (1, 75, 64, 3),
    "nasnet.NASNetLarge-max": (1, 96, 96, 3),
    "resnext.ResNeXt50-small": (1, 64, 50, 3),
}
SHOWN_1 = {
    "vgg16.VGG16-small": (1, 200, 210, 3),
    "resnet50.ResNet50-small": (1, 200, 210, 3),
    "inception_v3.InceptionV3-small": (1, 200, 210, 3),
    "xception.Xception-small": (1, 200, 210, 3),
}


def cases(keras_1):
    """Return name -> (module, function, arguments, image order, shape shown or None)."""
    found = {}
    for module, functions in (NETWORKS_1 if keras_1 else NETWORKS).items():
        for function in functions.split():
            for variant, arguments in (OF_ALL_1 if keras_1 else OF_ALL).items():
                found[f"{module}.{function}-{variant}"] = arguments
    if keras_1:
        # For channels last only, whatever is set.
        found["xception.Xception-first"] = {"include_top": False, "input_shape": (200, 200, 3)}
        del found["xception.Xception-first_top"]
    else:
        found.update(WIDTHS)
        for function in NETWORKS["nasnet"].split():
            del found[f"nasnet.{function}-first"]  # Keras reads the shape in one order and builds in the other
    shown = SHOWN_1 if keras_1 else SHOWN
    done = {}
    for name, arguments in found.items():
        module, function = name.partition("-")[0].split(".")
        order = "channels_first" if name.partition("-")[2] in FIRST else "channels_last"
        done[name] = (module, function, arguments, order, shown.get(name))
    return done


def digest(value):
    """Return a short text that tells values made of lists, dicts, numbers and texts apart."""
    text = json.dumps(value, sort_keys=True, default=lambda other: getattr(other, "tolist", lambda: str(other))())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plain(shape):
    """Return a shape, or a list of shapes, as lists."""
    return [plain(item) if isinstance(item, (tuple, list)) else item for item in shape]


def links(model):
    """Return for each layer the layers that its calls in this model take from."""
    found = []
    for layer in model.get_config()["layers"]:
        calls = [[item[0] for item in call] for call in layer["inbound_nodes"]]
        found.append([layer["name"], calls])
    return found


def settings(layer):
    """Return what a layer's config says beyond its name; nothing of a function and of a merge by its old class."""
    if type(layer).__name__ in ("Lambda", "Merge"):
        return {}
    config = dict(layer.get_config())
    if "axis" in config and config["axis"] in (-1, 3):
        config["axis"] = -1
    return config


def described(model, keras_1=False):
    """Return counts and digests of all that tells one network from another.

    Keras 1's configs and names of weights are its own.
    """
    weights = model.weights
    found = {
        "name": model.name,
        "layers": len(model.layers),
        "params": int(model.count_params()),
        "trainable": int(sum(np.prod([int(n) for n in shape_of(w)]) for w in model.trainable_weights)),
        "names": digest([layer.name for layer in model.layers]),
        "links": digest(links(model)),
        "shapes": digest([plain(layer.output_shape) for layer in model.layers]),
        "output": plain(model.output_shape),
        "weights": digest([[int(n) for n in shape_of(w)] for w in weights]),
    }
    if not keras_1:
        found["classes"] = digest([type(layer).__name__ for layer in model.layers])
        found["settings"] = digest([settings(layer) for layer in model.layers])
        found["weight_names"] = digest([w.name for w in weights])
    return found


def shape_of(weight):
    """Return the shape of a variable of any backend."""
    shape = getattr(weight, "_keras_shape", None) or weight.shape
    return tuple(shape.as_list() if hasattr(shape, "as_list") else shape)


def drawn_weights(shapes):
    """Return an array for each shape, by its place and size alone: the same here and there.

    What has one axis (scales, offsets, means, variances) lies between 0.5 and 1, kernels keep the size of what
    goes through them.
    """
    found = []
    for i, shape in enumerate(shapes):
        random = np.random.RandomState(1000 + i)
        if len(shape) == 1:
            found.append(random.uniform(0.5, 1, shape).astype("float32"))
        else:
            depthwise = len(shape) == 4 and shape[-1] < 3
            fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
            found.append((random.standard_normal(shape) / np.sqrt(fan_in)).astype("float32"))
    return found


def picture(shape):
    """Return the batch that a network is shown."""
    return np.random.RandomState(7).uniform(-1, 1, shape).astype("float32")


def measured(output):
    """Return what is kept of a prediction: its size, its mean and spread, and sixteen of its numbers."""
    flat = np.asarray(output, dtype="float64").ravel()
    places = np.linspace(0, flat.size - 1, 16).astype(int)
    return {
        "shape": list(np.shape(output)),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "largest": float(np.abs(flat).max()),
        "some": [float(f"{value:.7g}") for value in flat[places]],
    }


def predict(model, shown):
    """Give a model the weights of `drawn_weights`, and return what it says of `picture`."""
    model.set_weights(drawn_weights([np.shape(w) for w in model.get_weights()]))
    return model.predict(picture(shown))


PICTURES = {
    "uint8": ((2, 4, 5, 3), "uint8"),
    "float32": ((2, 4, 5, 3), "float32"),
    "float64": ((1, 3, 3, 3), "float64"),
    "three axes": ((4, 5, 3), "float32"),
    "first": ((2, 3, 4, 5), "float32"),
    "first three axes": ((3, 4, 5), "uint8"),
}


def raw_picture(shape, dtype):
    """Return numbers from 0 to 255."""
    return np.random.RandomState(3).randint(0, 256, shape).astype(dtype)


def preprocessed(function, name, **arguments):
    """Return what `preprocess_input` makes of a picture: numbers, type, and whether its argument was written to."""
    x = raw_picture(*PICTURES[name])
    kept = x.copy()
    made = function(x, **arguments)
    return {
        "dtype": str(made.dtype),
        "written": bool((x != kept).any()),
        "values": [float(f"{value:.7g}") for value in np.asarray(made).ravel()[:12]],
        "sum": float(np.asarray(made, dtype="float64").sum()),
    }


def function_of(module, function):
    """Return what builds a network; what Keras does not offer itself is in the package that it builds on."""
    import keras.applications

    if module != "resnext":
        return getattr(importlib.import_module("keras.applications." + module), function)
    other = importlib.import_module("keras_applications." + module)
    return keras.applications.keras_modules_injection(getattr(other, function))


def main(path, chosen):
    import keras
    from keras import backend as K

    warnings.simplefilter("ignore")
    keras_1 = keras.__version__ < "2"
    wanted = cases(keras_1)
    found = {"release": keras.__version__, "networks": {}, "predictions": {}, "preprocessed": {}}
    for name, (module, function, arguments, order, shown) in wanted.items():
        if chosen and not any(part in name for part in chosen):
            continue
        start = time.time()
        K.clear_session()
        if keras_1:
            K.set_image_dim_ordering("th" if order == "channels_first" else "tf")
        else:
            K.set_image_data_format(order)
        build = function_of(module, function)
        try:
            model = build(weights=None, **arguments)
        except Exception as error:
            print(name, type(error), str(error)[:200], flush=True)
            continue
        found["networks"][name] = described(model, keras_1)
        if shown:
            found["predictions"][name] = measured(predict(model, shown))
        print(name, round(time.time() - start, 1), found["predictions"].get(name, ""), flush=True)
    K.clear_session()
    if not keras_1:
        K.set_image_data_format("channels_last")
        for module in sorted(NETWORKS) + ["imagenet_utils"]:
            function = importlib.import_module("keras.applications." + module).preprocess_input
            for name in PICTURES:
                order = "channels_first" if "first" in name else "channels_last"
                found["preprocessed"][f"{module} {name}"] = preprocessed(function, name, data_format=order)
        for mode in ("caffe", "tf", "torch"):
            for name in PICTURES:
                order = "channels_first" if "first" in name else "channels_last"
                made = preprocessed(function, name, data_format=order, mode=mode)
                found["preprocessed"][f"{mode} {name}"] = made
    with open(path, "w") as stream:
        json.dump(found, stream, indent=None, separators=(",", ":"), sort_keys=True)
        stream.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
