"""The platform on one machine: a hub process, its services and its servers, of the same parts as a cluster."""
