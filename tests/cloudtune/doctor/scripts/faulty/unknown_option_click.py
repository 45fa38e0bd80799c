# finds: option-unknown
# at: parameters.lr
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import click

@click.command()
@click.option("--rate", type=float)
def train(rate):
    print("loss:", rate)

train()
