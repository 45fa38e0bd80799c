# study: {parameters: {kernel: {type: categorical, values: [linear, rbf]}, shrink: {type: bool}}, trial: {metrics: {loss: 'final loss (\S+)'}}}

import click


@click.command()
@click.option("--lr", type=float, default=0.1, show_default=True)
@click.option("--kernel", type=click.Choice(["linear", "rbf"]), default="rbf")
@click.option("--shrink/--no-shrink", default=True)
def train(lr, kernel, shrink):
    """Train."""
    click.secho("training", fg="green")
    click.echo(f"final loss {-lr * len(kernel) - shrink}")


train()
