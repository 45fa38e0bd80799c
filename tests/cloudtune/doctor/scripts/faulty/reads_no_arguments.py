# finds: arguments-unread
# at: parameters
# study: {trial: {metrics: {loss: 'loss: (\S+)'}}}

lr = 0.1
print("loss:", (lr - 0.3) ** 2)
