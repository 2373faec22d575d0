"""The composition root: settings into concrete parts, joined. Only here is the mode known."""
