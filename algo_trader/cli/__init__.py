"""The command line: one verb a file, imported only when its verb is asked for."""
