# finds: script-fails
# at: line 6

import sys
for word in sys.argv[1:]:
    assert "=" in word
print("loss", 1)
