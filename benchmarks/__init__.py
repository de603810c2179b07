"""Questions about the library that only measurements answer, one folder or script each; not part of the package."""
