"""The release whose words, defaults and file layout are spoken here by default."""

KERAS_VERSION = "2.3.1"
