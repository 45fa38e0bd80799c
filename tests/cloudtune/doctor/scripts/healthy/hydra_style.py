# study: {parameters: {model.depth: {type: int, min: 1, max: 4}}, trial: {arguments: assign, metrics: {loss: '\| loss: (\S+)'}}}

import sys

config = {"lr": 0.1, "model.depth": 2}
for word in sys.argv[1:]:
    name, _, value = word.partition("=")
    if name not in config:
        sys.exit(f"Could not override '{name}'. Key '{name}' is not in struct")
    config[name] = type(config[name])(value)
print("[2026-11-27 10:00:00,123][__main__][INFO] - lr: %(lr)s" % config)
for epoch in range(3):
    loss = config["lr"] * config["model.depth"] / (epoch + 1)
    print(f"[2026-11-27 10:00:0{epoch},123][__main__][INFO] - epoch {epoch} | loss: {loss:.6g} | acc: {1 - loss:.4f}")
