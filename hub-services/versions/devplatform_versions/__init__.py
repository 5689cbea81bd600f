"""File versions: a store, the service that shows and restores them, and the agent that captures them."""
