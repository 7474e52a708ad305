"""Clock, memory, threads and environment of a measuring process."""
