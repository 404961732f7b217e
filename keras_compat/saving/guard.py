"""The one door through which anything of a file comes in: HDF5, zip archives, JSON, YAML, npz.

Whatever a file says is checked here before it is believed: links lead nowhere outside the file, sizes are those that
are stored, texts are no deeper or longer than a model can need. Nothing is executed, imported or opened by a name that
stands in a file. Each format has a module of its own, ``limits`` the numbers.
"""

from __future__ import annotations

from keras_compat.saving.guard_h5 import Array as Array
from keras_compat.saving.guard_h5 import array as array
from keras_compat.saving.guard_h5 import child as child
from keras_compat.saving.guard_h5 import names as names
from keras_compat.saving.guard_h5 import number as number
from keras_compat.saving.guard_h5 import stored_array as stored_array
from keras_compat.saving.guard_h5 import survey as survey
from keras_compat.saving.guard_h5 import text as text
from keras_compat.saving.guard_h5 import texts as texts
from keras_compat.saving.guard_h5 import walk as walk
from keras_compat.saving.guard_npz import load_npz as load_npz
from keras_compat.saving.guard_npz import load_pickle as load_pickle
from keras_compat.saving.guard_text import check_config as check_config
from keras_compat.saving.guard_text import classes_in as classes_in
from keras_compat.saving.guard_text import parse_json as parse_json
from keras_compat.saving.guard_text import parse_yaml as parse_yaml
from keras_compat.saving.guard_zip import Archive as Archive
from keras_compat.saving.guard_zip import open_zip as open_zip
from keras_compat.saving.h5_files import open_h5 as open_h5
from keras_compat.saving.h5_files import where as where
