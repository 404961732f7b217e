"""Runs in TensorFlow 1.15 (Python 3.7): prints as JSON what it reads in a file of events.

python read_events.py file
"""

import json
import sys

import tensorflow as tf


def told(value):
    """Return what a value of a summary says."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return [kind, value.simple_value]
    if kind == "histo":
        return [kind, list(value.histo.bucket_limit), list(value.histo.bucket), value.histo.num, value.histo.sum]
    if kind == "image":
        with tf.Session() as session:
            return [kind, session.run(tf.image.decode_png(value.image.encoded_image_string)).tolist()]
    return [kind, value.metadata.plugin_data.plugin_name, tf.make_ndarray(value.tensor).item().decode("utf-8")]


def main():
    found = {"values": [], "graph": [], "begins": []}
    for event in tf.train.summary_iterator(sys.argv[1]):
        kind = event.WhichOneof("what")
        if kind == "graph_def":
            graph = tf.GraphDef.FromString(event.graph_def)
            found["graph"] = [[node.name, node.op, list(node.input), sorted(node.attr)] for node in graph.node]
        elif kind == "session_log":
            found["begins"].append([event.step, event.session_log.status == tf.SessionLog.START])
        elif kind == "file_version":
            found["version"] = event.file_version
        for value in event.summary.value:
            found["values"].append([event.step, value.tag] + told(value))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
