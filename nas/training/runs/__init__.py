"""One network trained to the end, in a folder: settings, log, session, and what is left (`nas train`)."""
