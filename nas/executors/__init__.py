"""Where evaluations run: in this process, in a child of it that can be stopped, or on a pool of Ray actors."""
