# study: {trial: {metrics: {loss: 'step (?P<step>\d+)/400 loss (?P<value>\S+)'}}}

import argparse
import logging
import time

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s:%(lineno)d %(message)s")
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
lr = parser.parse_args().lr
log = logging.getLogger("train")
log.info("started with lr=%g on 2 threads", lr)
for step in range(100, 500, 100):
    log.info("step %d/400 loss %.4f (best -1.25e-02) 1,024 samples/s", step, lr * 100 / step)
    time.sleep(0.02)
log.warning("saved to model-0.97.pt")
