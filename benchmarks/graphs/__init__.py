"""Deep graph convolutions with and without `DropEdge`, beside the published accuracy."""
