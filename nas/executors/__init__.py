"""Where evaluations run: in this process, or on a pool of Ray actors."""
