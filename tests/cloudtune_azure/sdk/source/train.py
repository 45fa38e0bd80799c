"""What runs in a job: a script that knows nothing of cloudtune, nor of the emulator."""

import os
import sys

sys.stdout.write(f"words {sys.argv[1:]}\nrun {os.environ['MLFLOW_RUN_ID']}\n")
