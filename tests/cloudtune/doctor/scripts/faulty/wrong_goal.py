# finds: goal
# at: objective.goal
# study: {objective: {metric: loss, goal: maximize}, trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
print("loss:", lr)
