# finds: option-type
# at: parameters.lr
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import click

@click.command()
@click.option("--lr", type=int)
def train(lr):
    print("loss:", lr)

train()
