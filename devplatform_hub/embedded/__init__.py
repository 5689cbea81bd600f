"""The platform on one machine: a hub process, its services and its servers, composed from the same parts as a cluster."""
