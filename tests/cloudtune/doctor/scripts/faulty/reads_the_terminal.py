# finds: reads-terminal
# at: 
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
name = input("Name of the experiment: ")
print("loss:", lr)
