def loss(lr, epoch):
    return lr / (epoch + 2)
