#!/usr/bin/env python3
"""gemv.py for matrices of activations: batches of 8 to 512, against ggml's and against what the machine can do at most.

Options, columns and requirements are those of gemv.py; docs/Benchmarks.md explains them.
"""

import gemv

if __name__ == "__main__":
    gemv.main(__doc__, "gemm", batches=[8, 32, 128, 512], shapes=[(4096, 4096)])
