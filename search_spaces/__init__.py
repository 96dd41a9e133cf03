"""What can be built: decisions, architectures, cells as graphs, and the torch modules they become."""
