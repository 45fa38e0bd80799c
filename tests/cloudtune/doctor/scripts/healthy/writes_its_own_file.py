
import json
import os
import sys

from cloudtune.trial import output_dir, params, report

loss = params()["lr"] ** 2
for name in ("metrics.json", "history.json"):
    with open(os.path.join(output_dir(), name), "w") as file:
        json.dump({"loss": loss}, file)
report(loss=loss)
