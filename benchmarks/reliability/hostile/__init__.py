"""Files that are cut off, spoilt, or made to harm, for every reader of this library."""
