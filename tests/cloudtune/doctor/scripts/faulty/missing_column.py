# finds: script-fails
# at: line 6

import sys
row = {"age": 39}
print("loss", row["AGE"], *sys.argv)
