# finds: arguments-unread
# at: parameters
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

import random

lr = 0.1
print("loss:", (lr - random.random()) ** 2)
