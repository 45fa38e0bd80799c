# finds: script-fails
# at: line 4

def train(:
    pass
