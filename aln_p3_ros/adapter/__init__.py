"""Our plan in the words of other stacks and simulators."""
