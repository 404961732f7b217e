"""Pictures: read from files, changed at random while a network trains on them, and brought to a common scale."""

from keras_compat import backend as backend
from keras_compat import utils as utils
from keras_compat.preprocessing.image.affine import apply_transform as apply_transform
from keras_compat.preprocessing.image.affine import transform_matrix_offset_center as transform_matrix_offset_center
from keras_compat.preprocessing.image.arrays import NumpyArrayIterator as NumpyArrayIterator
from keras_compat.preprocessing.image.folders import DirectoryIterator as DirectoryIterator
from keras_compat.preprocessing.image.frames import DataFrameIterator as DataFrameIterator
from keras_compat.preprocessing.image.generator import ImageDataGenerator as ImageDataGenerator
from keras_compat.preprocessing.image.iterator import Iterator as Iterator
from keras_compat.preprocessing.image.pictures import array_to_img as array_to_img
from keras_compat.preprocessing.image.pictures import img_to_array as img_to_array
from keras_compat.preprocessing.image.pictures import list_pictures as list_pictures
from keras_compat.preprocessing.image.pictures import load_img as load_img
from keras_compat.preprocessing.image.pictures import save_img as save_img
from keras_compat.preprocessing.image.transforms import apply_affine_transform as apply_affine_transform
from keras_compat.preprocessing.image.transforms import apply_brightness_shift as apply_brightness_shift
from keras_compat.preprocessing.image.transforms import apply_channel_shift as apply_channel_shift
from keras_compat.preprocessing.image.transforms import flip_axis as flip_axis
from keras_compat.preprocessing.image.transforms import random_brightness as random_brightness
from keras_compat.preprocessing.image.transforms import random_channel_shift as random_channel_shift
from keras_compat.preprocessing.image.transforms import random_rotation as random_rotation
from keras_compat.preprocessing.image.transforms import random_shear as random_shear
from keras_compat.preprocessing.image.transforms import random_shift as random_shift
from keras_compat.preprocessing.image.transforms import random_zoom as random_zoom
from keras_compat.utils import generic_utils as generic_utils
