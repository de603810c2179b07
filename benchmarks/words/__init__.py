"""Words of the Penn Treebank, with the published LSTM and with the three noises of AWD-LSTM."""
