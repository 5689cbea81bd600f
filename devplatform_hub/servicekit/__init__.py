"""How a hub service is written, once: application, signed-in handlers, hub API client, audit."""
