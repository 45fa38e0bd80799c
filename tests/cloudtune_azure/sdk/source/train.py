import os
import sys

print("words", sys.argv[1:])
print("run", os.environ["MLFLOW_RUN_ID"])
