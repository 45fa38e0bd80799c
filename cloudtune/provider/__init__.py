"""What a provider is: protocols, models, registry, cost, lookup and secrets."""
