# finds: script-fails
# at: line 8

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
with open("weights.bin") as file:
    print(file.read())
