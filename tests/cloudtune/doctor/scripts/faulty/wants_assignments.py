# finds: option-unknown
# at: trial.arguments
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import sys

sys.modules["hydra"] = sys
import hydra

if sys.argv[1].startswith("--"):
    sys.exit(f"{sys.argv[0]}: error: unrecognized arguments: --lr {sys.argv[2]}")
print("loss:", sys.argv[1].partition("=")[2])
