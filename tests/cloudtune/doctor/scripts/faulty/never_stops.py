# finds: stop-ignored
# seconds: 8
# at: 
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for epoch in range(1000):
    print(f"loss: {lr / (epoch + 1):.6f}", flush=True)
    time.sleep(0.1)
