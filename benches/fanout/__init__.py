"""Fan-out: what is published once reaches many WebSockets."""
