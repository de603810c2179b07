"""What a run survives: kills, full disks, broken files, many processes, endless decisions, counted by kind."""
