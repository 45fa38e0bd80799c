# finds: checkpoint-unread
# at: strategy.resource
# study: {strategy: {name: hyperband, resource: epochs, min: 4, max: 36}, limits: {max_trials: 9}}

import argparse, os, time
from cloudtune.trial import checkpoint_dir, report
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
options = parser.parse_args()
first = 1
for epoch in range(first, options.epochs + 1):
    time.sleep(0.1 if epoch < options.epochs else 1.5)
    report(loss=options.lr / epoch, step=epoch)
    open(os.path.join(checkpoint_dir(), "model.pt"), "w").write(str(epoch))
