"""Everything that takes time, once; the runtimes that host it; the futures it answers with."""
