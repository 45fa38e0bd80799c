# finds: variable-missing
# at: line 9
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}
import argparse
import os
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
print("loss:", os.path.join(parser.parse_args().train, "train.csv"))
