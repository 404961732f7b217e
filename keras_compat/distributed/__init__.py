"""Training on several processes and machines, with the names of ``horovod.keras``.

    import keras_compat.distributed as hvd

    hvd.init()
    model.compile(hvd.DistributedOptimizer(SGD(lr=0.1 * hvd.size())), "categorical_crossentropy")
    model.fit(x[hvd.rank() :: hvd.size()], y[hvd.rank() :: hvd.size()],
              callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0)])

``mpiexec -n 2 python program.py`` starts two; each works on its share of the data, and all have the same weights after
each step. Without ``mpiexec`` there is one rank, and no MPI is needed.
"""

from __future__ import annotations

from typing import Any

from keras_compat.distributed import callbacks as callbacks
from keras_compat.distributed.communicator import DistributedError as DistributedError
from keras_compat.distributed.optimizer import DistributedOptimizer as DistributedOptimizer
from keras_compat.distributed.optimizer import load_model as load_model
from keras_compat.distributed.state import cross_rank as cross_rank
from keras_compat.distributed.state import cross_size as cross_size
from keras_compat.distributed.state import init as init
from keras_compat.distributed.state import is_homogeneous as is_homogeneous
from keras_compat.distributed.state import is_initialized as is_initialized
from keras_compat.distributed.state import local_rank as local_rank
from keras_compat.distributed.state import local_size as local_size
from keras_compat.distributed.state import rank as rank
from keras_compat.distributed.state import shutdown as shutdown
from keras_compat.distributed.state import size as size
from keras_compat.distributed.values import Adasum as Adasum
from keras_compat.distributed.values import Average as Average
from keras_compat.distributed.values import Compression as Compression
from keras_compat.distributed.values import Max as Max
from keras_compat.distributed.values import Min as Min
from keras_compat.distributed.values import Product as Product
from keras_compat.distributed.values import Sum as Sum
from keras_compat.distributed.values import allgather as allgather
from keras_compat.distributed.values import allreduce as allreduce
from keras_compat.distributed.values import barrier as barrier
from keras_compat.distributed.values import broadcast as broadcast
from keras_compat.distributed.values import broadcast_global_variables as broadcast_global_variables
from keras_compat.distributed.values import broadcast_variables as broadcast_variables


def mpi_built() -> bool:
    """True: ranks talk by MPI."""
    return True


def mpi_enabled() -> bool:
    """True: ranks talk by MPI."""
    return True


def mpi_threads_supported() -> bool:
    """True: a program may use MPI from other threads as well."""
    return True


def _false() -> bool:
    """False: what ranks talk by is MPI."""
    return False


gloo_built = gloo_enabled = nccl_built = ddl_built = ccl_built = cuda_built = rocm_built = _false


def start_timeline(file_path: str, mark_cycles: bool = False) -> Any:
    """Raises NotImplementedError: ``autotensor.profile`` shows where time goes, sums over the ranks included."""
    raise NotImplementedError("[start_timeline] there is no timeline of Horovod's. Use `with autotensor.profile()`.")


def stop_timeline() -> Any:
    """Raises NotImplementedError, as ``start_timeline``."""
    return start_timeline("")
