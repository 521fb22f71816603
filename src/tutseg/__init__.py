"""tutseg: five papers on segmenting lesions with little labelled data, running."""

import os

__version__ = "0.1.0"

# OpenMP reads these once, when NumPy or torch is loaded; MKL and OpenBLAS follow them. One thread a process is fastest
# on a shared machine, several processes use several cores, and sums over pixels keep their last bits on any number of
# cores. A thread that waits should sleep, not spin. Whoever sets them himself is left alone.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
