# finds: stop-ignored
# at: 
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for epoch in range(5):
    print(f"loss: {lr / (epoch + 1):.4f}", flush=True)
    time.sleep(0.5)
