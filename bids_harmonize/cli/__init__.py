"""The command line: parser, drivers of both levels, exit codes."""
