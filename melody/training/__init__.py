"""Making of the weights: scores, simulated singers, training runs. It imports stages; nothing in melody imports it."""
