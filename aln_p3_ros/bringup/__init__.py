"""Starting the graph: one description for launch files, `aln-p3 up` and the demonstration."""
