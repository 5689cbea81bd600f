"""What a cluster says about a server, as sentences for the person who waits for it. Pure: events in, findings out."""
