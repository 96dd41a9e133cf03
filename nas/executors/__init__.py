"""Where evaluations run: in this process, in children of it that can be stopped, or on a pool of Ray actors."""
